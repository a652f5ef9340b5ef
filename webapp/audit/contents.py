"""Compares what is stored with its entries in the audit log, row by row."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection

from webapp.audit.reading import canonical_moment, moment_sql, subjects_of
from webapp.batch.service import FACTS as BATCH_FACTS
from webapp.decisions.writing import FACTS
from webapp.ledger.chain import Event, commitment_to, facts_digest
from webapp.ledger.driver import Driver, Row
from webapp.letters.service import FACTS as LETTER_FACTS
from webapp.outcomes.service import FACTS as OUTCOME_FACTS
from webapp.protected.service import FACTS as ANSWER_FACTS
from webapp.reviews.service import CLOSED, NOTED, OPENED

ROWS_PER_FETCH = 1_000
ROWS = """
SELECT {facts}, {contents}, c.salt, c.{key} IS NULL
FROM {table} t LEFT JOIN {kind}_contents c ON c.{key} = t.id ORDER BY t.id
"""
ROWS_WITHOUT_CONTENTS = "SELECT {facts}, NULL, NULL FROM {table} t WHERE {which} ORDER BY t.id"
# A fact that the row refers to.
OF_REVIEW = "(SELECT r.decision_id FROM reviews r WHERE r.id = t.review_id)"
# The attributes of an answer as a JSON object, in the order of the fields' names.
ATTRIBUTES = """(
    SELECT '{{' || coalesce({joined}, '') || '}}' FROM (
        SELECT '"' || field || '":"' || value || '"' AS pair, field
        FROM protected_attributes WHERE decision_id = t.id ORDER BY field
    ) a
)"""
ATTRIBUTES_ON_SQLITE = ATTRIBUTES.format(joined="group_concat(pair, ',')")
ATTRIBUTES_ON_POSTGRESQL = ATTRIBUTES.format(
    joined="string_agg(pair, ',' ORDER BY field COLLATE \"C\")"
)
ENTRIES = """
SELECT {id}, lane, number, subject, facts, commitment FROM audit_log
WHERE event = '{event}' ORDER BY 1, 2, 3
"""


class Kind(NamedTuple):
    """What is stored as facts in one table and perhaps as erasable contents in another."""

    name: str
    event: Event
    facts: tuple[str, ...]  # the number is the first, the moment the second
    key: str = ""  # of the contents
    contents: tuple[str, ...] = ()
    decision: int = 0  # the place of the decision's number among the facts
    which: str = "1 = 1"  # the condition of rows that have an entry, if they have no contents
    plural: str = ""  # the name of the table, if it is not the name with an s

    @property
    def table(self) -> str:
        return self.plural or f"{self.name}s"


DECISION = Kind(
    "decision",
    "decision.made",
    FACTS,
    "decision_id",
    ("inputs", "normalised", "reasons", "causes", "reference"),
)
TRIAL = Kind(
    "trial",
    "trial.made",
    ("id", "created_at", "decision_id", "operator_id", "probability", "model_decision"),
    "trial_id",
    ("inputs",),
    decision=2,
)
OUTCOME = Kind("outcome", "outcome.recorded", OUTCOME_FACTS, decision=2)
LETTER = Kind("letter", "letter.made", LETTER_FACTS, "letter_id", ("text",), decision=2)
# The entry of a referred decision says that its review was opened.
OPENING = Kind("review", "review.opened", OPENED, decision=2, which="t.cause <> 'referred'")
CLOSING = Kind("review", "review.closed", CLOSED, decision=2, which="t.closed_at IS NOT NULL")
NOTE = Kind("review_note", "review.noted", NOTED, "note_id", ("text",), decision=2)
BATCH = Kind("batch", "batch.decided", BATCH_FACTS, plural="batches")
# The contents are rows of a table of their own; only their salt is in the contents' table.
ANSWER = Kind("protected_answer", "protected.given", ANSWER_FACTS, "decision_id", ("attributes",))
KINDS = (DECISION, TRIAL, OUTCOME, LETTER, OPENING, CLOSING, NOTE, BATCH, ANSWER)
MOMENTS = ("created_at", "opened_at", "closed_at")


@dataclass
class Compared:
    """How many rows match their entries, and how many do not."""

    decisions: int = 0
    trials: int = 0
    outcomes: int = 0
    answers: int = 0  # of the protected fields
    reviews: int = 0  # those that were opened by hand, those that are closed, and notes
    letters: int = 0
    batches: int = 0
    erased: int = 0  # of decisions, trials, letters, notes and answers
    wrong: int = 0


class _Stored(NamedTuple):
    """The facts and contents in a row."""

    facts: Row
    contents: Row
    salt: Any
    missing: bool

    @classmethod
    def of(cls, kind: Kind, row: Row) -> "_Stored":
        ends = len(kind.facts)
        return cls(row[:ends], row[ends:-2], row[-2], bool(row[-1]))


def compare(connection: Connection, report: Callable[[str], None]) -> Compared:
    """Compare all in a snapshot, and report each row or entry that does not match."""
    compared = Compared()
    erased = subjects_of(Driver.of(connection), "contents.erased", kind="decision")
    for kind in KINDS:
        for row, entry in _pairs(_rows(connection, kind), _entries(connection, kind)):
            if row is None:
                compared.wrong += 1
                report(f"lane {entry[1]}, entry {entry[2]}: there is no such {kind.name}")
                continue
            stored = _Stored.of(kind, row)
            if wrong := _differences(kind, stored, entry, erased):
                compared.wrong += 1
                report(f"{kind.name} {row[0]}: {'; '.join(wrong)}")
                continue
            compared.erased += stored.missing
            compared.decisions += kind is DECISION
            compared.trials += kind is TRIAL
            compared.outcomes += kind is OUTCOME
            compared.letters += kind is LETTER
            compared.reviews += kind in (OPENING, CLOSING, NOTE)
            compared.batches += kind is BATCH
            compared.answers += kind is ANSWER
    return compared


def stored_facts(facts: Sequence[Any]) -> list[Any]:
    """Return facts from a row as their entry covers them; raises ValueError."""
    return [facts[0], canonical_moment(facts[1]), *facts[2:]]


def rows_sql(kind: Kind, *, postgresql: bool) -> str:
    """Return the statement that reads all facts and contents of a kind by number."""
    facts = ", ".join(_fact_sql(name, postgresql=postgresql) for name in kind.facts)
    if not kind.contents:
        return ROWS_WITHOUT_CONTENTS.format(table=kind.table, facts=facts, which=kind.which)
    contents = ", ".join(_content_sql(name, postgresql=postgresql) for name in kind.contents)
    return ROWS.format(
        table=kind.table, kind=kind.name, key=kind.key, facts=facts, contents=contents
    )


def _fact_sql(name: str, *, postgresql: bool) -> str:
    """Return the SQL of a fact as its entry covers it, but for the form of moments."""
    if name in MOMENTS:
        return moment_sql(f"t.{name}", postgresql=postgresql)
    if name == "decision_of_review":
        return OF_REVIEW
    if name == "known_on" and postgresql:
        return "to_char(t.known_on, 'YYYY-MM-DD')"
    return f"t.{name}"


def _content_sql(name: str, *, postgresql: bool) -> str:
    """Return the SQL of a content as its entry covers it: as JSON, or a note as its text."""
    if name == "attributes":
        return ATTRIBUTES_ON_POSTGRESQL if postgresql else ATTRIBUTES_ON_SQLITE
    if name != "reference":
        return f"c.{name}::text" if postgresql else f"c.{name}"
    quoted = "'\"' || c.reference || '\"'"
    if postgresql:
        return quoted
    # A BLOB, which is not less than the empty one, could have the text of another value.
    return f"CASE WHEN c.reference < x'' THEN {quoted} ELSE c.reference END"


def _rows(connection: Connection, kind: Kind) -> Iterator[Row]:
    return _stream(connection, rows_sql(kind, postgresql=connection.dialect.name == "postgresql"))


def _entries(connection: Connection, kind: Kind) -> Iterator[Row]:
    """Yield the entries of a kind by the number that they name, which is 0 if they name none."""
    start = f"{kind.name}:"
    number = f"CAST(substr(subject, {len(start) + 1}) AS {{type}})"
    if connection.dialect.name == "postgresql":
        number = number.format(type="bigint")
        number = f"CASE WHEN subject ~ '^{start}[0-9]{{1,18}}$' THEN {number} ELSE 0 END"
    else:
        number = number.format(type="INTEGER")
    for row in _stream(connection, ENTRIES.format(id=number, event=kind.event)):
        yield row if row[3] == f"{start}{row[0]}" else (0, *row[1:])


def _stream(connection: Connection, statement: str) -> Iterator[Row]:
    streaming = connection.execution_options(stream_results=True)
    with streaming.exec_driver_sql(statement) as result:
        for block in result.partitions(ROWS_PER_FETCH):
            yield from (tuple(row) for row in block)


def _pairs(rows: Iterator[Row], entries: Iterator[Row]) -> Iterator[tuple[Row | None, Any]]:
    """Yield each row with its entry; None stands for one that is missing."""
    entry = next(entries, None)
    for row in rows:
        while entry is not None and entry[0] < row[0]:
            yield None, entry
            entry = next(entries, None)
        if entry is not None and entry[0] == row[0]:
            yield row, entry
            entry = next(entries, None)
        else:
            yield row, None
    while entry is not None:
        yield None, entry
        entry = next(entries, None)


def _differences(kind: Kind, row: _Stored, entry: Row | None, erased: set[int]) -> list[str]:
    """Return what does not match, for one row."""
    if entry is None:
        return ["it has no entry"]
    *_, facts, commitment = entry
    wrong = []
    if _facts_digest(row.facts) != facts:
        wrong.append("its facts are not those of its entry")
    if not kind.contents:
        return wrong
    is_erased = row.facts[kind.decision] in erased
    if row.missing and not is_erased:
        wrong.append("its contents are missing, and no entry says that they were erased")
    elif not row.missing and _commitment(row) != commitment:
        wrong.append("its contents are not those of its entry")
    elif not row.missing and is_erased and kind in (DECISION, ANSWER):
        wrong.append("its contents are there, and an entry says that they were erased")
    return wrong


def _facts_digest(facts: Row) -> bytes | None:
    try:
        return facts_digest(stored_facts(facts))
    except (TypeError, ValueError):  # a value that the service does not write
        return None


def _commitment(row: _Stored) -> bytes | None:
    try:
        return commitment_to(row.contents, row.salt)
    except (TypeError, ValueError):
        return None
