"""What every flask command needs: errors as one line, and counts in words."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from flask import current_app
from sqlalchemy.exc import DBAPIError

from ml.bundle.manifest import InvalidBundle
from webapp.failures import (
    LockNotFree,
    ModelUnavailable,
    NameRefused,
    NameTaken,
    NotFound,
    OutcomeUnknown,
)


def as_typed(command: str) -> str:
    """Return a flask command as it can be typed in this folder with this installation."""
    flask = Path(sys.executable).with_name("flask")
    if shutil.which("flask") == str(flask):
        return f"flask --app webapp {command}"
    here = flask.relative_to(Path.cwd()) if flask.is_relative_to(Path.cwd()) else flask
    return f"{here} --app webapp {command}"


OUTDATED = f" (is it up to date? {as_typed('prepare')})"


@contextmanager
def clear_errors(*, hint: str = OUTDATED) -> Iterator[None]:
    """Turn what cannot be done into one clear line."""
    try:
        yield
    except (NameRefused, NameTaken, NotFound, InvalidBundle, ModelUnavailable) as error:
        raise click.ClickException(str(error)) from None
    except LockNotFree as error:
        raise click.ClickException(f"the database: {error}") from None
    except OutcomeUnknown as error:
        words = f"the database: {error}; it may have been stored: check before you try again"
        raise click.ClickException(words) from None
    except OSError as error:
        raise click.ClickException(f"cannot write: {error.strerror}") from None
    except DBAPIError as error:
        current_app.logger.debug("database", exc_info=error)
        words = str(error.orig).splitlines()[0]
        raise click.ClickException(f"the database: {words}{hint}") from None


def many(count: int) -> str:
    return f"{count:,} decision{'' if count == 1 else 's'}"
