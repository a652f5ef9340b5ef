"""Reads outcomes from texts: the rows of a CSV file, the fields of a form, or JSON."""

import re
from collections.abc import Mapping
from datetime import date
from hashlib import sha256
from typing import NamedTuple

from ml.product.errors import FieldError
from ml.product.formats import parse_integer
from ml.product.texts import Text
from webapp.columns import MAX_ID
from webapp.csv_files import InvalidFile, WrongRow, read_csv
from webapp.outcomes.records import CORRECTIONS, OUTCOMES, NewOutcome, error

KEYS = ("id", "reference")
COLUMNS = (*KEYS, "outcome", "date", "reason")
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class FileRow(NamedTuple):
    """A row of a file; either its id or its reference says which decision it is about."""

    line: int
    id: int | None
    reference: str | None
    outcome: NewOutcome  # with the decision 0 until it is found by the reference


class File(NamedTuple):
    """The rows of a file that can be read, what is wrong with others, and its SHA-256."""

    rows: list[FileRow]
    wrong: list[WrongRow]
    digest: str


def read_outcome(texts: Mapping[str, str], number: int) -> NewOutcome | list[FieldError]:
    """Return an outcome of a decision from texts, or what is wrong with them."""
    outcome, day, reason = (texts.get(name, "") for name in ("outcome", "date", "reason"))
    known_on = _date(day)
    errors = []
    if outcome not in OUTCOMES:
        errors.append(error("outcome", "outcome"))
    if known_on is None:
        errors.append(error("date", "date"))
    if reason and reason not in CORRECTIONS:
        errors.append(error("reason", "reason"))
    if errors or known_on is None:
        return errors
    return NewOutcome(number, outcome, known_on, reason or None)  # type: ignore[arg-type]  # checked


def read_file(data: bytes) -> File:
    """Read a CSV file; raises InvalidFile."""
    table = read_csv(data)
    _check(table.columns)
    rows: list[FileRow] = []
    wrong: list[WrongRow] = []
    for line, values in table.rows:
        _read_row(line, table.columns, values, rows, wrong)
    return File(rows, wrong, sha256(data).hexdigest())


def _check(columns: list[str]) -> None:
    known = set(columns) <= set(COLUMNS) and len(columns) == len(set(columns))
    if not known or not {"outcome", "date"} <= set(columns) or not set(KEYS) & set(columns):
        names = ", ".join(COLUMNS)
        raise InvalidFile(
            Text(
                en="The first line must name the columns outcome, date, and id or reference. "
                f"All columns are {names}.",
                fr="La première ligne doit nommer les colonnes outcome, date, et id ou reference. "
                f"Les colonnes sont {names}.",
            )
        )


def _read_row(
    line: int,
    columns: list[str],
    values: list[str],
    rows: list[FileRow],
    wrong: list[WrongRow],
) -> None:
    if len(values) != len(columns):
        wrong.append(WrongRow(line, error("id", "values", count=str(len(columns)))))
        return
    texts = dict(zip(columns, values, strict=True))
    written, reference = (texts.get(name, "") for name in KEYS)
    number = parse_integer(written)  # pages show it with separated thousands
    outcome = read_outcome(texts, 0)
    errors = outcome if isinstance(outcome, list) else []
    if bool(written) == bool(reference):
        errors.insert(0, error("id", "key"))
    elif written and not 0 < (number or 0) <= MAX_ID:
        errors.insert(0, error("id", "id"))
    wrong += [WrongRow(line, e) for e in errors]
    if not errors and isinstance(outcome, NewOutcome):
        rows.append(FileRow(line, number, reference or None, outcome))


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if DATE.fullmatch(text) else None
    except ValueError:
        return None
