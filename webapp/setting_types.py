"""The types of settings: what the text of a variable may be, and what is read from it."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

MAX_PORT = 65535


def _yes_or_no(value: object) -> object:
    if value not in ("yes", "no", True, False):
        raise ValueError
    return value in ("yes", True)


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _database_url(text: str) -> str:
    from psycopg import ProgrammingError  # noqa: PLC0415 - not needed for SQLite
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415

    scheme, colon, address = text.partition("://")
    if not colon or scheme not in ("postgres", "postgresql", "postgresql+psycopg"):
        raise ValueError
    try:
        url = make_url(f"postgresql+psycopg://{address}")
        _, options = url.get_dialect()().create_connect_args(url)
        make_conninfo(**options)  # raises for options that libpq does not know
    except (ArgumentError, ProgrammingError) as error:
        raise ValueError from error
    if url.port is not None and not 1 <= url.port <= MAX_PORT:
        raise ValueError
    return text


def _address(text: str) -> str:
    _, colon, port = text.rpartition(":")
    if not colon or not 0 <= int(port) <= MAX_PORT:
        raise ValueError
    return text


def _folder(text: str) -> str:
    if not Path(text).is_dir():
        raise ValueError
    return text


lower = BeforeValidator(_lower)
YesOrNo = Annotated[bool, BeforeValidator(_yes_or_no), lower]
DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
Address = Annotated[str, AfterValidator(_address)]
Folder = Annotated[str, AfterValidator(_folder)]
