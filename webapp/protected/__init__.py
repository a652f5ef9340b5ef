"""Voluntary questions about protected fields, asked apart from the application, for fairness."""
