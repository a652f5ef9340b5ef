"""Functions that the flask commands share: one-line errors, hints and counts."""

import shutil
import sys
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

import click
from flask import current_app
from sqlalchemy.exc import DBAPIError

from ml.bundle.manifest import InvalidBundle
from webapp.failures import (
    DecisionDamaged,
    ErasureRefused,
    LastAdmin,
    LockNotFree,
    ModelUnavailable,
    NameRefused,
    NameTaken,
    NoteRefused,
    NotFound,
    OutcomeUnknown,
    SwitchRefused,
    WrongEncoding,
)


def as_typed(command: str) -> str:
    """Return what to type in this folder to run a flask command of this environment."""
    flask = Path(sys.executable).with_name("flask")
    if shutil.which("flask") == str(flask):
        return f"flask --app webapp {command}"
    here = flask.relative_to(Path.cwd()) if flask.is_relative_to(Path.cwd()) else flask
    return f"{here} --app webapp {command}"


# Their messages are complete.
CLEAR = (
    *(NameRefused, NameTaken, NotFound, NoteRefused, ErasureRefused, SwitchRefused, LastAdmin),
    *(InvalidBundle, ModelUnavailable, BrokenProcessPool, DecisionDamaged),
)
UPGRADE_HINT = f" (is it up to date? {as_typed('prepare')})"


@contextmanager
def clear_errors(*, hint: str = UPGRADE_HINT) -> Iterator[None]:
    """Turn the errors that a user can act on into one line."""
    try:
        yield
    except CLEAR as error:
        raise click.ClickException(str(error)) from None
    except (LockNotFree, WrongEncoding) as error:
        raise click.ClickException(f"the database: {error}") from None
    except OutcomeUnknown as error:
        message = f"the database: {error}; it may have been stored: check before you try again"
        raise click.ClickException(message) from None
    except OSError as error:
        raise click.ClickException(f"cannot write: {error.strerror}") from None
    except DBAPIError as error:
        current_app.logger.debug("database", exc_info=error)
        reason = str(error.orig).splitlines()[0]
        raise click.ClickException(f"the database: {reason}{hint}") from None


def format_decision_count(count: int) -> str:
    return f"{count:,} decision{'' if count == 1 else 's'}"


def echo_printable(line: str) -> None:
    """Print a line, with every other character replaced by a question mark."""
    # The line may quote a row that was changed by hand and holds control characters.
    click.echo("".join(c if c.isprintable() else "?" for c in line))
