"""From figures to pages: the model card, its text and its plots."""
