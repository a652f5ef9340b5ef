"""CSV files: those that people upload, as spreadsheets write them, and those that they download."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from flask import Response

from ml.product.errors import FieldError
from ml.product.texts import Text
from webapp.language import current

DELIMITERS = (",", ";", "\t")
# A spreadsheet takes a text that begins with one of these for a formula, which can send data away:
# https://owasp.org/www-community/attacks/CSV_Injection. The last ones are wide forms of the first.
FORMULA_STARTS = (*"=+-@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
MAX_NAME_LENGTH = 120
START = "\ufeff"  # of a file, by which spreadsheets know that it is UTF-8

NOT_TEXT = Text(
    en="The file is not a text file in UTF-8. In a spreadsheet, save it as “CSV UTF-8”.",
    fr="Le fichier n’est pas un fichier texte en UTF-8. "
    "Dans un tableur, enregistrez-le au format « CSV UTF-8 ».",
)
NOT_CSV = Text(
    en="Line {line} is not CSV: look for a quotation mark that is not closed.",
    fr="La ligne {line} n’est pas du CSV : cherchez un guillemet qui n’est pas fermé.",
)


class InvalidFile(Exception):
    """A file that cannot be used; the text says why."""

    def __init__(self, text: Text) -> None:
        super().__init__(text.en)
        self.text = text


class WrongRow(NamedTuple):
    """What is wrong with a row of a file; it never contains a value of the row."""

    line: int
    error: FieldError


class Table(NamedTuple):
    """The rows of a file below its first line, which names the columns.

    Empty rows are left out, and empty values without a column at the end of lines, which
    spreadsheets write where something was deleted.
    """

    columns: list[str]
    rows: list[tuple[int, list[str]]]  # the line as a spreadsheet counts, and the values


def read_csv(data: bytes) -> Table:
    """Read a file in UTF-8, with its values separated as in its first line; raises InvalidFile."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidFile(NOT_TEXT) from None
    if "\0" in text:
        raise InvalidFile(NOT_TEXT)
    head = next(iter(text.splitlines()), "")
    delimiter = max(DELIMITERS, key=head.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line, rows = 1, []
    try:
        columns = [name.strip().lower() for name in next(lines, [])]
        for line, values in enumerate(lines, 2):
            stripped = [value.strip() for value in values]
            if any(stripped):
                rows.append((line, stripped))
    except csv.Error:
        raise InvalidFile(filled(NOT_CSV, line=str(lines.line_num))) from None
    return _without_empty_ends(columns, rows)


def _without_empty_ends(columns: list[str], rows: list[tuple[int, list[str]]]) -> Table:
    count = len(columns)
    while count and not columns[count - 1]:
        count -= 1
    cut = [(line, values if any(values[count:]) else values[:count]) for line, values in rows]
    return Table(columns[:count], cut)


def filled(text: Text, **details: str) -> Text:
    """Return a text with details in the places of their names."""
    return Text(en=text.en.format(**details), fr=text.fr.format(**details))


def file_name(given: str) -> str:
    """Return the name of an uploaded file as it can be shown: short, printable, without folders."""
    name = given.replace("\\", "/").rpartition("/")[2]
    name = re.sub("[\u00a0\u202f]", " ", name)  # macOS writes them into times
    return "".join(c if c.isprintable() else "?" for c in name)[:MAX_NAME_LENGTH]


def download(rows: Iterable[Sequence[object]], *, name: str) -> Response:
    """Return rows as a file that a spreadsheet in the language of the page opens in columns."""
    return streamed([START + csv_text(rows)], name=name)


def streamed(parts: Iterable[str], *, name: str) -> Response:
    """Return the parts of a CSV text as a file to download; the first one has START before it."""
    headers = {"Content-Disposition": f"attachment; filename={name}"}
    return Response(parts, content_type="text/csv; charset=utf-8", headers=headers)


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as a spreadsheet in the language of the page reads them.

    In French, a comma begins the decimals, and a semicolon separates the values.
    """
    french = current() == "fr"
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";" if french else ",")
    writer.writerows([_cell(value, french=french) for value in row] for row in rows)
    return out.getvalue()


def _cell(value: object, *, french: bool) -> object:
    """Return a value that no spreadsheet takes for a formula; a number stays one."""
    if isinstance(value, float) and french:
        return repr(value).replace(".", ",")
    formula = isinstance(value, str) and value.startswith(FORMULA_STARTS)
    return f"'{value}" if formula else value
