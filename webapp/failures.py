"""What can go wrong that an entry point must answer for."""

from click import ClickException


class NameTaken(Exception):
    """There is a user or an API key of that name already."""


class NameRefused(Exception):
    """Nobody could sign in by this name."""


class NotFound(Exception):
    """There is no user, API key or decision of that name or number."""


class DecisionDamaged(Exception):
    """The database holds of a decision what the service cannot have written there."""

    def __init__(self, number: int, columns: tuple[str, ...]) -> None:
        super().__init__(f"decision {number} is damaged: {', '.join(columns)}")
        self.number = number
        self.columns = columns


class ModelUnavailable(Exception):
    """There is no bundle that may decide; the message says why."""


class LockNotFree(Exception):
    """Other sessions kept a lock for too long that a migration needs; the message names them."""


class WrongEncoding(Exception):
    """The database cannot store every character that a client may send."""


class NestedUnitOfWork(Exception):
    """A unit of work was begun inside another: a mistake in the program."""


class OutcomeUnknown(Exception):
    """A commit failed: what it was to store may be stored or not."""


class InvalidSetting(ClickException):
    """Settings that cannot be used: one line for each, which names it."""

    exit_code = 2  # as gunicorn.conf.py exits, which shows the same lines
