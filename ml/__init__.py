"""Loan decisions without the web: products, training, bundles and scoring; no Flask, no SQL."""
