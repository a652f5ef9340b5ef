"""The unit of work, the only code that commits what the service writes."""
