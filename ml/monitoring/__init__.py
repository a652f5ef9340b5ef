"""Watches a model in production: arithmetic on counts and arrays, without a database."""
