"""Computes the probability of an application, with NumPy alone."""
