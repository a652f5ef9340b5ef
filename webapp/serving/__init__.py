"""The bundle in service."""
