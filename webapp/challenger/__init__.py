"""The model that scores silently beside the one that decides."""
