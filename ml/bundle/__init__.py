"""A trained model on disk: written, read, verified, found."""
