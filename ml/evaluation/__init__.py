"""Computes performance, fairness and confidence intervals from labels and probabilities."""
