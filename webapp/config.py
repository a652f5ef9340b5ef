"""Every setting: its LOAN_ variable, its default and its meaning."""

import os
import secrets
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

from click import ClickException
from psycopg import ProgrammingError
from psycopg.conninfo import make_conninfo
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

SHORTEST_SECRET = 32  # characters
ROOT = Path(__file__).parent.parent
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


class InvalidSetting(ClickException):
    """A setting that cannot be used; the message names it. A command shows it as one line."""

    exit_code = 2  # as gunicorn's, which shows the same line


def setting(default: str, meaning: str) -> Any:  # noqa: ANN401 - as dataclasses.field
    return field(metadata={"default": default, "meaning": meaning})


@dataclass(frozen=True)
class Config:
    """The settings, read once. `LOAN_BUNDLE` is the variable of `bundle`, and so on."""

    instance: Path = setting("instance", "Folder for what the service keeps: SQLite, its secret.")
    database_url: str = setting(
        "",
        "PostgreSQL as `postgresql://user:password@host/name`; empty: SQLite in the instance.",
    )
    bundle: Path = setting("models/consumer_credit", "Folder of the model that decides.")
    challenger: str = setting(
        "", "A candidate in that folder that scores beside the model, unseen; empty: none."
    )
    secret_key: str = setting(
        "",
        "Signs sessions; empty: made once and kept in the instance. Replicas need the same.",
    )
    https: bool = setting(
        "no", "`yes` where people reach the desk by HTTPS: cookies are sent over it alone."
    )
    language: str = setting("en", "`en` or `fr`, for those whose browser asks for neither.")
    timezone: str = setting("Europe/Paris", "In which times are shown; they are stored in UTC.")
    bind: str = setting("127.0.0.1:5000", "Address and port to serve on.")
    workers: int = setting("2", "Processes that answer requests.")
    threads: int = setting("4", "Requests that each process works on at once.")
    log_level: str = setting("info", "`debug`, `info`, `warning` or `error`.")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        known = {variable(f.name) for f in fields(cls)}
        strange = sorted(n for n in environment if n.startswith("LOAN_") and n not in known)
        if strange:
            raise InvalidSetting(f"{', '.join(strange)}: no such setting")
        read: dict[str, Any] = {f.name: _read(f, environment) for f in fields(cls)}
        return cls(**read)

    @property
    def database(self) -> str:
        """The database's address with its driver, as SQLAlchemy wants it."""
        if not self.database_url:
            return f"sqlite:///{self.instance.resolve() / 'loan_desk.db'}"
        return f"postgresql+psycopg://{self.database_url.partition('://')[2]}"

    @property
    def kept(self) -> Path:
        """Where a copy of every bundle stays that has decided here."""
        return self.instance / "models"

    def folder(self) -> Path:
        """Return the instance folder, made where it is not there."""
        try:
            self.instance.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidSetting(f"LOAN_INSTANCE: {self.instance}: {error.strerror}") from None
        return self.instance

    def secret(self) -> str:
        """Return the key that signs sessions, made on the first call where none is set."""
        if self.secret_key:
            return self.secret_key
        self.folder()
        file = self.secret_file
        if not file.exists():
            self._make_secret(file)  # only then: a full disk must not stop a start that needs none
        return kept_secret(file)

    @property
    def secret_file(self) -> Path:
        return self.instance / "secret_key"

    def _make_secret(self, file: Path) -> None:
        try:
            # Whole under a name of its own first: another process must never read half a key.
            new = file.with_suffix(f".{secrets.token_hex(4)}")
            new.touch(mode=0o600)
            with new.open("w") as kept:
                kept.write(secrets.token_urlsafe(48))
                kept.flush()
                os.fsync(kept.fileno())  # a power cut must not leave an empty key
            os.link(new, file)
        except FileExistsError:
            pass
        except OSError as error:
            raise InvalidSetting(f"LOAN_INSTANCE: {file}: {error.strerror}") from None
        finally:
            new.unlink(missing_ok=True)


def kept_secret(file: Path) -> str:
    """Return the secret in a file; refuse one that others may know or guess."""
    try:
        secret = file.read_text().strip()
        readable = file.stat().st_mode & 0o077
    except (OSError, ValueError) as error:
        raise InvalidSetting(f"{file}: cannot be read: {error}") from None
    if readable:
        raise InvalidSetting(f"{file}: others may read it. Run: chmod 600 {file}")
    if len(secret) < SHORTEST_SECRET:
        raise InvalidSetting(
            f"{file}: shorter than {SHORTEST_SECRET} characters. Remove it, and a new one is made."
        )
    return secret


def variable(name: str) -> str:
    return f"LOAN_{name.upper()}"


def check_challenger(name: str, *, there: Sequence[str]) -> None:
    """Refuse a challenger that is not among those of the bundle."""
    if name not in there:
        what = f"no challenger {name!r} in the bundle" if name else "not set"
        names = ", ".join(there) or "none"
        raise InvalidSetting(f"{variable('challenger')}: {what}. There are: {names}.")


def _read(f: Any, environment: Mapping[str, str]) -> object:  # noqa: ANN401 - a dataclass field
    text = environment.get(variable(f.name), "").strip() or f.metadata["default"]
    try:
        return _CHECKS.get(f.name, _KINDS[f.type])(text)
    except (ValueError, KeyError, OSError):
        shown = "this value" if f.name in _SECRET else repr(text)
        raise InvalidSetting(
            f"{variable(f.name)}: {shown} cannot be used. {f.metadata['meaning']}"
        ) from None


def _yes_or_no(text: str) -> bool:
    return {"yes": True, "no": False}[text.lower()]


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _database_url(text: str) -> str:
    if not text:
        return text
    scheme, separator, address = text.partition("://")
    if not separator or scheme not in ("postgres", "postgresql", "postgresql+psycopg"):
        raise ValueError
    try:
        url = make_url(f"postgresql+psycopg://{address}")
        _, options = url.get_dialect()().create_connect_args(url)
        make_conninfo(**options)  # which knows the names of all options
    except (ArgumentError, ProgrammingError) as error:
        raise ValueError from error
    return text


def _bind(text: str) -> str:
    _, colon, port = text.rpartition(":")
    if not colon or not 0 <= int(port) <= 65535:
        raise ValueError
    return text


def _timezone(text: str) -> str:
    return ZoneInfo(text).key


def _one_of(*words: str) -> Any:  # noqa: ANN401 - a check
    return lambda text: {word: word for word in words}[text.lower()]


def _key(text: str) -> str:
    if text and len(text) < SHORTEST_SECRET:
        raise ValueError
    return text


_KINDS: dict[Any, Any] = {Path: Path, str: str, bool: _yes_or_no, int: _positive}
_SECRET = ("secret_key", "database_url")  # the second holds a password
_CHECKS: dict[str, Any] = {
    "database_url": _database_url,
    "bind": _bind,
    "timezone": _timezone,
    "language": _one_of("en", "fr"),
    "log_level": _one_of("debug", "info", "warning", "error"),
    "secret_key": _key,
}
