"""Writes the applications whose outcome is known, in the form in which a model is trained."""

import csv
import io
import os
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, Text, cast, select

from ml.product.application import Application, Rules
from ml.product.errors import InvalidApplication, MalformedApplication
from webapp.decisions.tables import DecisionContents, DecisionRow
from webapp.ledger.audit import record
from webapp.outcomes.tables import OutcomeRow, that_counts
from webapp.people.operators import Operator

ROWS_PER_FETCH = 2_000


class Exported(NamedTuple):
    """How many rows were written, and how many outcomes are of applications that cannot be."""

    rows: int
    left_out: int  # erased, or of a product with other fields


def export_training_data(
    transaction: Connection, rules: Rules, file: Path, *, operator: Operator
) -> Exported:
    """Write a new CSV file, and an entry in the audit log; raises FileExistsError."""
    product = rules.product
    names = [f.name for f in product.inputs]
    rows = left_out = 0
    digest = sha256()
    opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # it is personal
    with open(opened, "w", encoding="utf-8", newline="") as out:

        def write(values: Iterable[object]) -> None:
            line = io.StringIO()
            csv.writer(line).writerow(values)
            out.write(line.getvalue())
            digest.update(line.getvalue().encode())

        write([*names, product.target])
        for application, good in _known(transaction, rules):
            if application is None:
                left_out += 1
            else:
                values = ["" if application[n] is None else application[n] for n in names]
                write([*values, int(good)])
                rows += 1
    subject = f"sha256:{digest.hexdigest()}"
    record(transaction, "training_data.exported", subject, operator_id=operator.id)
    return Exported(rows, left_out)


def _known(transaction: Connection, rules: Rules) -> Iterator[tuple[Application | None, bool]]:
    """Yield each application with its outcome that counts; None if it cannot be read."""
    o, d, c = OutcomeRow, DecisionRow, DecisionContents
    query = (
        select(cast(c.inputs, Text), o.outcome)
        .select_from(o)
        .join(d, d.id == o.decision_id)
        .outerjoin(c, c.decision_id == d.id)
        .where(d.product == rules.product.name, that_counts())
        .order_by(d.id)
    )
    streaming = transaction.execution_options(stream_results=True)
    with streaming.execute(query) as result:
        for block in result.partitions(ROWS_PER_FETCH):
            for inputs, outcome in block:
                try:
                    application = rules.check_json((inputs or "").encode())
                except (InvalidApplication, MalformedApplication):
                    application = None
                yield application, outcome == "good"
