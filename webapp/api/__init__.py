"""The JSON endpoint for other systems."""
