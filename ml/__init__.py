"""Products, training, model bundles and scoring; imports neither Flask nor SQL."""
