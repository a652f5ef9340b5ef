"""Keeps what is wrong with a refused file, so that its page can be opened again."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal, NamedTuple

from pydantic import BaseModel
from sqlalchemy import Connection, delete, select

from ml.product.errors import FieldError
from ml.product.texts import Text
from webapp.columns import now
from webapp.csv_files import WrongRow
from webapp.extensions import db
from webapp.failures import NotFound
from webapp.ledger.transaction import add_row
from webapp.people.operators import Operator
from webapp.uploads.tables import RefusedFile

Kind = Literal["batch", "outcomes"]
KEPT = timedelta(days=1)


class Wrong(BaseModel):
    """The errors of a file, each different one once, and the lines that have them."""

    errors: list[tuple[str, str, str, str]]  # field, code, message in English and in French
    lines: list[tuple[int, int]]  # the line, and the place of its error among `errors`


class Refused(NamedTuple):
    """A refused file, with its errors in the order of its lines."""

    id: int
    kind: str
    name: str
    wrong: list[WrongRow]


def keep_refused(
    transaction: Connection,
    wrong: Sequence[WrongRow],
    *,
    kind: Kind,
    name: str,
    operator: Operator,
) -> int:
    """Keep the errors of a file for a day, delete older ones, and return its number."""
    discard_old(transaction)
    places: dict[FieldError, int] = {}
    lines = [(row.line, places.setdefault(row.error, len(places))) for row in wrong]
    errors = [(e.field, e.code, e.message.en, e.message.fr) for e in places]
    return add_row(
        transaction,
        RefusedFile,
        created_at=now(),
        operator_id=operator.id,
        kind=kind,
        name=name,
        wrong=Wrong(errors=errors, lines=lines).model_dump_json(),
    )


def discard_old(transaction: Connection) -> None:
    """Delete the errors of files that were refused more than a day ago."""
    transaction.execute(delete(RefusedFile).where(RefusedFile.created_at < now() - KEPT))


def find_refused(number: int, *, operator: Operator) -> Refused:
    """Return a file that this operator sent; raises NotFound."""
    r = RefusedFile
    query = select(r.kind, r.name, r.wrong).where(r.id == number, r.operator_id == operator.id)
    row = db.session.execute(query).first()
    if row is None:
        raise NotFound(f"there is no refused file {number} of this operator")
    wrong = Wrong.model_validate_json(row.wrong)
    errors = [FieldError(f, code, Text(en=en, fr=fr)) for f, code, en, fr in wrong.errors]
    return Refused(number, row.kind, row.name, [WrongRow(n, errors[i]) for n, i in wrong.lines])
