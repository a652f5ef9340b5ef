"""The service's health and metrics."""
