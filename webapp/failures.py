"""What can go wrong that an entry point must answer for."""


class NameTaken(Exception):
    """There is a user or an API key of that name already."""


class NameRefused(Exception):
    """Nobody could sign in by this name."""


class NotFound(Exception):
    """There is no user or API key of that name."""


class ModelUnavailable(Exception):
    """There is no bundle that may decide; the message says why."""
