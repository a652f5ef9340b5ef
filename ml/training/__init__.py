"""From rows to a bundle."""
