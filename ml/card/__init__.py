"""Builds the model card from the results of training: its texts and its plots."""
