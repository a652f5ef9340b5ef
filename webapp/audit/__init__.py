"""Proofs for those who check."""
