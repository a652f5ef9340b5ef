"""Reads the rows of a product's CSV file; each must be a valid application with a label."""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

from ml.bundle.facts import REPEATED
from ml.product.application import Application, Rules, Value
from ml.product.definition import Field, Product
from ml.product.errors import InvalidApplication, InvalidData

OTHER_SEPARATORS = ";\t|"
Cells = dict[str, str]


@dataclass(frozen=True)
class Rows:
    """The usable rows of a CSV file.

    Attributes
    ----------
    fields : DataFrame of shape (n_samples, n_fields)
        The unprotected fields, without the target. A column of numbers is int64, or float64 with
        NaN if a value is missing; a column of choices holds objects, with NaN for a missing value.
    good : ndarray of shape (n_samples,)
        1 for good, 0 for bad; int64.
    protected : DataFrame of shape (n_samples, n_attributes)
        The protected columns that the file has, in the order of the product.
    left_out : dict of str to int
        The number of rows left out, by the field that was empty or under `REPEATED`.
    """

    fields: pd.DataFrame
    good: np.ndarray
    protected: pd.DataFrame
    left_out: dict[str, int]

    @property
    def data(self) -> tuple[pd.DataFrame, np.ndarray]:
        """The fields and the labels."""
        return self.fields, self.good

    @property
    def constant(self) -> tuple[str, ...]:
        """The fields with the same value in every row.

        An empty number counts as a value, since a model sees that it is empty. An empty choice does
        not, since it is replaced by the most frequent value.
        """
        return tuple(
            str(name)
            for name, column in self.fields.items()
            if column.nunique(dropna=column.dtype == object) == 1
        )


def read_rows(product: Product, file: Path) -> Rows:
    """Read the rows of a product's CSV file.

    Parameters
    ----------
    product : Product
    file : Path
        Encoded in UTF-8, with a header and commas as separators. An empty cell is a missing value.
        Every row must be a valid application, except for the flaws that ``product.rows`` allows.

    Returns
    -------
    Rows

    Raises
    ------
    InvalidData
        The file cannot be read, lacks a column or has no usable rows, or a row is invalid. The
        message names the first invalid cell or row and counts the others.
    """
    reader = _Reader(product, file)
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            reader.read(text)
    except OSError as error:
        raise InvalidData(f"{file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InvalidData(f"{file}: not UTF-8: {error.reason} at byte {error.start}") from error
    except csv.Error as error:
        raise InvalidData(f"{file}: {error}") from error
    return reader.rows()


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file, by which a bundle knows its rows.

    Parameters
    ----------
    file : Path

    Returns
    -------
    str
        In hexadecimal digits.
    """
    return sha256(file.read_bytes()).hexdigest()


class _Reader:
    """Reads one file; collects the rows and the errors."""

    def __init__(self, product: Product, file: Path) -> None:
        self._product = product
        self._file = file
        self._rules = Rules(product)
        self._kept: list[tuple[Application, int, Application]] = []
        self._left_out: Counter[str] = Counter()
        self._wrong: list[str] = []
        self._first_line: dict[tuple[str, ...], int] = {}

    def read(self, text: Iterator[str]) -> None:
        lines = csv.reader(text, strict=True)
        header = next((line for line in lines if line), None)
        if header is None:
            raise InvalidData(f"{self._file}: no header")
        self._check_header(header)
        # A protected cell may be empty even if the field is not optional, but must not be invalid.
        optional = [f.model_copy(update={"optional": True}) for f in self._product.protected]
        known = [f for f in optional if f.name in header]
        self._protected_rules = Rules(self._product, fields=known)
        for line in lines:
            if line:
                self._take(lines.line_num, header, line)

    def rows(self) -> Rows:
        if self._wrong:
            more = len(self._wrong) - 1
            raise InvalidData(self._wrong[0] + (f" And {more:,} more." if more else ""))
        if not self._kept:
            raise InvalidData(f"{self._file}: no rows")
        applications, good, protected = zip(*self._kept, strict=True)
        return Rows(
            _frame(self._rules.fields, applications),
            np.array(good, dtype=np.int64),
            _frame(self._protected_rules.fields, protected),
            dict(self._left_out),
        )

    def _check_header(self, header: list[str]) -> None:
        wanted = [*self._product.by_name, self._product.target]
        separator = next((s for s in OTHER_SEPARATORS if s in header[0]), "")
        if len(header) == 1 and separator and len(wanted) > 1:
            raise InvalidData(f"{self._file}: separated by {separator!r} instead of commas")
        absent = [name for name in wanted if name not in header]
        if absent:
            raise InvalidData(f"{self._file}: no column {', '.join(absent)}")
        known = [*wanted, *(f.name for f in self._product.protected)]
        twice = [name for name in known if header.count(name) > 1]
        if twice:
            raise InvalidData(f"{self._file}: more than one column {', '.join(twice)}")

    def _take(self, number: int, header: list[str], line: list[str]) -> None:
        if len(line) != len(header):
            self._refuse(number, f"{len(line)} cells, but the header has {len(header)}.")
            return
        cells = dict(zip(header, line, strict=True))
        errors = len(self._wrong)
        answer = cells[self._product.target].strip()
        if answer not in ("0", "1"):
            self._refuse(number, "Enter 1 for good or 0 for bad.", column=self._product.target)
        protected = self._checked(number, cells, self._protected_rules)
        empty = self._empty(cells)
        application = None if empty else self._checked(number, cells, self._rules)
        if len(self._wrong) > errors or self._repeats(number, tuple(line)):
            return
        if empty:
            self._left_out[empty] += 1
        elif application is not None and protected is not None:
            self._kept.append((application, int(answer), protected))

    def _empty(self, cells: Cells) -> str | None:
        """Return the first empty field for which the product says to leave out the row."""
        leave = self._product.rows.leave_out_empty
        return next((name for name in leave if not cells[name].strip()), None)

    def _checked(self, number: int, cells: Cells, rules: Rules) -> Application | None:
        try:
            return rules.check_text({f.name: cells[f.name] for f in rules.fields})
        except InvalidApplication as invalid:
            for error in invalid.errors:
                self._refuse(number, error.message.en, column=error.field)
        return None

    def _repeats(self, number: int, line: tuple[str, ...]) -> bool:
        """Return whether a row is left out because it equals an earlier one, or is an error."""
        policy = self._product.rows.repeated
        first = self._first_line.setdefault(line, number)
        if first == number or policy == "keep":
            return False
        if policy == "leave_out":
            self._left_out[REPEATED] += 1
        else:
            self._refuse(number, f"repeats line {first}.")
        return True

    def _refuse(self, number: int, reason: str, *, column: str = "") -> None:
        where = f", column {column}" if column else ""
        self._wrong.append(f"{self._file}, line {number}{where}: {reason}")


def _frame(fields: tuple[Field, ...], rows: tuple[Application, ...]) -> pd.DataFrame:
    columns = {}
    for field in fields:
        values = [np.nan if row[field.name] is None else row[field.name] for row in rows]
        columns[field.name] = pd.Series(values, dtype=object if field.kind == "choice" else None)
    return pd.DataFrame(columns, index=range(len(rows)))


def as_applications(fields: pd.DataFrame) -> list[Application]:
    """Return rows as applications.

    Parameters
    ----------
    fields : DataFrame of shape (n_samples, n_fields)

    Returns
    -------
    list of Application
        With None for a missing value.
    """
    return [
        {str(name): _value(value) for name, value in row.items()}
        for row in fields.to_dict("records")
    ]


def _value(value: object) -> Value:
    if pd.isna(value):  # type: ignore[call-overload]  # its stubs know no object
        return None
    return value if isinstance(value, str) else int(value)  # type: ignore[call-overload]
