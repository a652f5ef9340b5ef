"""The bundle that decides, and past bundles."""
