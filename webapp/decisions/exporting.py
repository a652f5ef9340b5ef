"""Exports the decisions of a list as rows, in chunks, with entries in the audit log."""

import logging
import secrets
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from flask_babel import format_datetime, gettext as _
from sqlalchemy import column, select, table

from ml.product.definition import Product
from webapp.decisions.conditions import Question
from webapp.decisions.damage import Damaged, readable
from webapp.decisions.list_forms import CHANNELS
from webapp.decisions.listing import Listed, Position, list_decisions
from webapp.decisions.tables import DecisionContents
from webapp.decisions.values import DECISION_NAMES
from webapp.extensions import db
from webapp.language import words
from webapp.ledger.audit import record
from webapp.ledger.chain import facts_digest
from webapp.ledger.transaction import end_reading, unit_of_work
from webapp.slots import slot_for_a_part

log = logging.getLogger(__name__)

ROWS_PER_CHUNK = 1_000
ID_BYTES = 6
MOMENT = "yyyy-MM-dd HH:mm:ss"  # which spreadsheets in every language take for a moment
End = Literal["complete", "interrupted", "unavailable"]
Row = list[object]
# Of the capability above this one.
_reviews = table("reviews", column("id"), column("decision_id"), column("final"))


def start_export(question: Question, *, given: dict[str, str], product: Product | None) -> str:
    """Add an entry for an export, personal if its product is given; return what names it.

    The entry's facts are the filter, as its parameters were given, and whether it is personal.
    """
    name = secrets.token_hex(ID_BYTES)
    kind = "facts" if product is None else "personal"
    facts = facts_digest([kind, *sorted(f"{n}={text}" for n, text in given.items())])
    with unit_of_work() as transaction:
        subject = f"export:{name}:{kind}"
        operator_id = question.operator.id
        record(transaction, "export.started", subject, operator_id=operator_id, facts=facts)
    log.info("export %s of decisions (%s) by user %s", name, kind, operator_id)
    return name


def end_export(question: Question, name: str, *, rows: int, end: End) -> None:
    """Add an entry that says how many rows were sent, and whether those were all."""
    with slot_for_a_part(), unit_of_work() as transaction:
        subject = f"export:{name}:{rows}:{end}"
        record(transaction, "export.ended", subject, operator_id=question.operator.id)
    log.info("export %s ended after %s rows: %s", name, rows, end)


def headings(product: Product | None) -> Row:
    """Return the names of the columns, with those of a product's fields if it is given."""
    names = [
        *(_("Decision number"), _("Decided"), _("Decision"), _("Final word")),
        *(
            _("Model’s decision"),
            _("Product"),
            _("Amount"),
            _("Probability"),
            _("Threshold"),
            _("Novelty"),
        ),
        *(_("Channel"), _("Decided by"), _("Model")),
    ]
    personal = [_("Reference"), *(words(f.label) for f in product.inputs)] if product else []
    return [*names, *personal]


def chunks(question: Question, product: Product | None) -> Iterator[list[Row]]:
    """Yield the rows of a list, some at a time.

    Between them, no transaction is open and no slot is held. Raises ServiceUnavailable.
    """
    position = None
    while True:
        with slot_for_a_part():
            page = list_decisions(question, position=position, size=ROWS_PER_CHUNK)
            numbers = [row.id for row in page.rows]
            finals, inputs = _finals(numbers), _inputs(numbers) if product else {}
            end_reading()
        if page.rows:
            yield [_row(r, finals.get(r.id), product, inputs.get(r.id)) for r in page.rows]
        if page.after is None:
            return
        position = Position(page.after)


def _finals(numbers: Sequence[int]) -> dict[int, str]:
    """Return the final word of each decision on which a review has left one."""
    r = _reviews.c
    query = select(r.decision_id, r.final).where(r.decision_id.in_(numbers), r.final.is_not(None))
    return {row.decision_id: row.final for row in db.session.execute(query.order_by(r.id))}


def _inputs(numbers: Sequence[int]) -> dict[int, Any]:
    c = DecisionContents
    query = select(c.decision_id, readable(c.inputs)).where(c.decision_id.in_(numbers))
    return {row.decision_id: row.inputs for row in db.session.execute(query)}


def _row(listed: Listed, reviewed: str | None, product: Product | None, inputs: object) -> Row:
    decision = listed.decision
    if isinstance(decision, Damaged):
        return [decision.id, _("Damaged row"), *decision.columns]
    final = reviewed or decision.decision
    facts = [
        decision.id,
        format_datetime(decision.created_at, MOMENT),
        str(DECISION_NAMES[decision.decision]),
        "" if final == "referred" else str(DECISION_NAMES[final]),
        str(DECISION_NAMES[decision.model_decision]),
        decision.product,
        decision.amount,
        decision.probability,
        decision.threshold,
        decision.novelty,
        str(CHANNELS[decision.channel]),
        decision.operator,
        decision.model,
    ]
    if product is None:
        return facts
    # The inputs of another product belong to other columns.
    own = inputs if isinstance(inputs, dict) and decision.product == product.name else {}
    values = [own.get(field.name) for field in product.inputs]
    return [*facts, listed.reference, *values]
