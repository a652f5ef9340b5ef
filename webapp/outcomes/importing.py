"""Records the outcomes of a file: all of them, or none if anything is wrong."""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from ml.product.application import REFERENCE_PATTERN
from webapp.csv_files import WrongRow
from webapp.decisions.tables import DecisionContents
from webapp.ledger.audit import record
from webapp.outcomes.files import File, FileRow
from webapp.outcomes.records import Loan, NewOutcome, check, error, is_known
from webapp.outcomes.service import add_outcomes, find_loans, in_blocks, today_in
from webapp.people.operators import Operator
from webapp.reviews.closing import lock_outcomes


class Imported(NamedTuple):
    """How many outcomes of a file are new and how many known, or what is wrong with its rows."""

    new: int
    known: int
    wrong: list[WrongRow]


def import_file(
    transaction: Connection, file: File, *, operator: Operator, zone: ZoneInfo
) -> Imported:
    """Record the outcomes of a file, unless a row is wrong."""
    lock_outcomes(transaction)
    imported, new = _compare(transaction, file, zone=zone)
    if new and not imported.wrong:
        add_outcomes(transaction, new, operator=operator)
        subject = f"sha256:{file.digest}"
        record(transaction, "outcomes.imported", subject, operator_id=operator.id)
    return imported


def check_file(connection: Connection, file: File, *, zone: ZoneInfo) -> Imported:
    """Return what `import_file` would do."""
    imported, _ = _compare(connection, file, zone=zone)
    return imported


def _compare(
    connection: Connection, file: File, *, zone: ZoneInfo
) -> tuple[Imported, list[tuple[NewOutcome, Loan]]]:
    rows, wrong = file.rows, list(file.wrong)
    numbers = _by_reference(connection, [r.reference for r in rows if r.reference])
    named = {r.id for r in rows if r.id} | {n for some in numbers.values() for n in some}
    loans = find_loans(connection, named, zone=zone)
    seen: dict[int, int] = {}  # the line that is about a decision
    new: list[tuple[NewOutcome, Loan]] = []
    known, today = 0, today_in(zone)
    for row in rows:
        number = _decision_of(row, numbers, loans)
        if isinstance(number, WrongRow):
            wrong.append(number)
            continue
        before = seen.setdefault(number, row.line)
        if before != row.line:
            wrong.append(WrongRow(row.line, error("id", "twice", line=str(before))))
            continue
        outcome, loan = row.outcome._replace(decision_id=number), loans[number]
        if is_known(outcome, loan):
            known += 1
        elif errors := check(outcome, loan, today=today):
            wrong += [WrongRow(row.line, e) for e in errors]
        else:
            new.append((outcome, loan))
    return Imported(len(new), known, sorted(wrong, key=lambda w: w.line)), new


def _decision_of(
    row: FileRow, numbers: dict[str, list[int]], loans: dict[int, Loan]
) -> int | WrongRow:
    """Return the number of the decision that a row is about, or why there is none."""
    if row.reference is None:
        number = row.id or 0
        return number if number in loans else WrongRow(row.line, error("id", "unknown_id"))
    found = numbers.get(row.reference, [])
    if not found:
        return WrongRow(row.line, error("reference", "unknown_reference"))
    granted = [n for n in found if loans[n].decision == "granted"] or found[:1]
    if len(granted) > 1:
        ids = ", ".join(map(str, granted))
        return WrongRow(row.line, error("reference", "several", ids=ids))
    return granted[0]


def _by_reference(connection: Connection, references: Sequence[str]) -> dict[str, list[int]]:
    """Return the numbers of the decisions that have each reference."""
    numbers: dict[str, list[int]] = defaultdict(list)
    c = DecisionContents
    possible = sorted({r for r in references if re.fullmatch(REFERENCE_PATTERN, r)})
    for some in in_blocks(possible):
        query = select(c.reference, c.decision_id).where(c.reference.in_(some))
        for reference, number in connection.execute(query.order_by(c.decision_id)):
            numbers[str(reference)].append(number)
    return numbers
