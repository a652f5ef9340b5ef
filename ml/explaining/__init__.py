"""Computes the reasons of a decision, and the changes that would reverse a refusal."""
