"""Reads applications from the rows of a CSV file, and names all that is wrong with them."""

import re
from collections.abc import Iterable

from ml.product.application import REFERENCE_PATTERN, Rules, Submission
from ml.product.definition import REFERENCE, Product
from ml.product.errors import MESSAGES, FieldError, InvalidApplication, shown_name
from ml.product.texts import Text
from webapp.batch.records import Row
from webapp.csv_files import InvalidFile, Table, WrongRow, filled, read_csv

MAX_ROWS = 10_000
MAX_NAMES = 10  # of wrong columns in a message

EMPTY = Text(
    en="The file has no rows below the line that names the columns.",
    fr="Le fichier n’a aucune ligne sous celle qui nomme les colonnes.",
)
TOO_MANY = Text(
    en="The file has {count} rows. Send at most {most} at a time.",
    fr="Le fichier a {count} lignes. Envoyez-en {most} au plus à la fois.",
)
MISSING = Text(
    en="Columns are missing: {names}. The first line must name them.",
    fr="Des colonnes manquent : {names}. La première ligne doit les nommer.",
)
UNKNOWN = Text(en="There is no such column: {names}.", fr="Ces colonnes n’existent pas : {names}.")
TWICE = Text(
    en="Columns are named twice: {names}.", fr="Des colonnes figurent deux fois : {names}."
)
LENGTH = Text(
    en="This line has {count} values instead of {expected}.",
    fr="Cette ligne a {count} valeurs au lieu de {expected}.",
)


def columns_of(product: Product) -> list[str]:
    """Return the columns of a file; the last one can be left out."""
    return [*(field.name for field in product.inputs), REFERENCE]


def read_file(data: bytes, rules: Rules) -> tuple[list[Row], list[WrongRow]]:
    """Return the applications of a file, and what is wrong with it; raises InvalidFile."""
    table = read_csv(data)
    _check(table, rules.product)
    rows: list[Row] = []
    wrong: list[WrongRow] = []
    for line, values in table.rows:
        read = _read_row(table.columns, values, rules)
        if isinstance(read, Submission):
            rows.append(Row(line, read))
        else:
            wrong += [WrongRow(line, error) for error in read]
    return rows, wrong


def _check(table: Table, product: Product) -> None:
    """Raise InvalidFile for wrong columns, no rows or too many."""
    known = columns_of(product)
    named = table.columns
    for text, names in (
        (UNKNOWN, [n for n in named if n not in known]),
        (MISSING, [n for n in known if n not in named and n != REFERENCE]),
        (TWICE, [n for n in known if named.count(n) > 1]),
    ):
        if names:
            raise InvalidFile(filled(text, names=_listed(names)))
    if not table.rows:
        raise InvalidFile(EMPTY)
    if len(table.rows) > MAX_ROWS:
        raise InvalidFile(filled(TOO_MANY, count=str(len(table.rows)), most=str(MAX_ROWS)))


def _listed(names: Iterable[str]) -> str:
    shown = [shown_name(name) for name in names]
    return ", ".join(shown[:MAX_NAMES]) + (", …" if len(shown) > MAX_NAMES else "")


def _read_row(columns: list[str], values: list[str], rules: Rules) -> Submission | list[FieldError]:
    if len(values) != len(columns):
        details = {"count": str(len(values)), "expected": str(len(columns))}
        return [FieldError("", "values", filled(LENGTH, **details))]
    texts = dict(zip(columns, values, strict=True))
    reference = texts.pop(REFERENCE, "") or None
    errors: list[FieldError] = []
    try:
        application = rules.check_text(texts)
    except InvalidApplication as invalid:
        errors = invalid.errors
    if reference is not None and not re.fullmatch(REFERENCE_PATTERN, reference):
        errors.append(FieldError(REFERENCE, "reference", MESSAGES["reference"]))
    return errors or Submission(application, reference)
