"""Decide applications; store, show and explain the decisions."""
