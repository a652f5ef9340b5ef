"""Exceptions that entry points turn into answers or error lines."""

from typing import Literal

from click import ClickException

from ml.product.errors import FieldError


class NameTaken(Exception):
    """A user or an API key with that name exists already."""


class NameRefused(Exception):
    """Nobody could sign in with this name."""


class LastAdmin(Exception):
    """The last admin who can sign in would lose the role or the account."""


class OwnAccount(Exception):
    """An admin would lose the role or the account by his or her own hand."""


class NotFound(Exception):
    """There is no user, API key or decision with that name or number."""


class SwitchRefused(Exception):
    """The desk cannot be switched; the message says why."""


class DecisionDamaged(Exception):
    """A stored decision has values that the service cannot have written."""

    def __init__(self, number: int, columns: tuple[str, ...]) -> None:
        super().__init__(f"decision {number} is damaged: {', '.join(columns)}")
        self.number = number
        self.columns = columns


class ModelUnavailable(Exception):
    """A bundle cannot be used; the message says why."""


class LockNotFree(Exception):
    """A migration waited too long for a lock; the message names the sessions that hold locks."""


class WrongEncoding(Exception):
    """The database cannot store every character that a client may send."""


class NestedUnitOfWork(Exception):
    """A unit of work was begun inside another, which is a programming error."""


class OutcomeUnknown(Exception):
    """A commit failed, and its data may or may not have been stored."""


class NotStored(Exception):
    """Nothing was stored: too much was waiting to be written, or it waited for too long."""


class InFlight(Exception):
    """Another request with the same idempotency key has not been answered yet."""


class UnknownKey(Exception):
    """The API key is unknown or revoked."""


class InvalidKey(Exception):
    """The header Idempotency-Key cannot be used."""


class KeyClaimed(Exception):
    """A request with the same key has ended meanwhile, and may have stored its result."""


class KeyReused(Exception):
    """The idempotency key belongs to another request."""


class AlreadyAnswered(Exception):
    """The voluntary questions of this decision have been answered before."""


class NoteRefused(Exception):
    """A signed note, its key or what it says cannot be used; the message says why."""


class InvalidOutcome(Exception):
    """An outcome that breaks a rule; lists an error for each invalid field."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__("; ".join(f"{e.field}: {e.message.en}" for e in errors))
        self.errors = errors


class ErasureRefused(Exception):
    """The database does not let this role erase contents; the message says what to do."""


class LetterBroken(Exception):
    """A template of letters cannot be used; the message says which one and why."""

    def __init__(self, template: str, problem: str) -> None:
        super().__init__(f"{template}: {problem}")
        self.template = template
        self.problem = problem


class NoLetter(Exception):
    """No letter can be written: a refusal has no stored reasons, or nobody is going to decide."""

    def __init__(self, reason: Literal["no_reasons", "lapsed", "corrected"]) -> None:
        super().__init__(reason)
        self.reason = reason


class LetterMeanwhile(Exception):
    """Another letter on the same decision has been made since the page was opened."""


class InvalidSetting(ClickException):
    """Invalid settings; the message has one line for each."""

    exit_code = 2  # the same as in gunicorn.conf.py
