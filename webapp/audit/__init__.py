"""Checks for auditors."""
