"""Bundles, which are trained models on disk: writes, reads, verifies and finds them."""
