"""Health of the service, and the watch over it."""
