"""Trains models on rows of a CSV file and writes them into a bundle."""
