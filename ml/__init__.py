"""Loan decisions without the web: products, training, bundles and scoring. Knows no Flask and no SQL."""
