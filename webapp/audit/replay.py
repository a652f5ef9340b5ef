"""Replay: recompute decisions from their stored inputs, by the model that each names."""

import json
import reprlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Text, cast, func, select

from ml.bundle.decide import Verdict, decide
from ml.bundle.manifest import KNOWN_ANSWER_TOLERANCE, InvalidBundle
from ml.bundle.reader import Bundle
from ml.product.application import (
    Application,
    InvalidApplication,
    MalformedApplication,
    Rules,
)
from webapp.columns import MAX_ID, decision_value
from webapp.decisions.damage import Damaged, read
from webapp.decisions.records import Decision
from webapp.decisions.search import select_decisions
from webapp.decisions.service import as_stored
from webapp.decisions.tables import DecisionContents, DecisionRow
from webapp.extensions import db
from webapp.failures import NotFound
from webapp.serving.served import model

DECISIONS_PER_QUERY = 500
MAX_DIFFERENCES_PER_COLUMN = 5  # listed in one line
READ_ONLY = {"postgresql_readonly": True}  # SQLite does not need it: reading takes no write lock
JSON_COLUMNS = (DecisionContents.inputs, DecisionContents.normalised, DecisionContents.reasons)
COLUMNS = (  # in addition to those of `select_decisions`
    DecisionContents.decision_id.label("contents"),
    # Cast to text, because a row that was changed by hand need not hold JSON.
    *(cast(c, Text).label(c.key) for c in JSON_COLUMNS),
)
SHORT_REPR = reprlib.Repr()  # a row that was changed by hand may hold values of any size and depth
SHORT_REPR.maxstring = SHORT_REPR.maxother = 80


@dataclass
class Tally:
    """Counts of replayed decisions, and of those that could not be replayed."""

    matching: int = 0
    differing: int = 0
    erased: int = 0  # without inputs
    without_model: Counter[str] = field(default_factory=Counter)  # by version
    model_errors: dict[str, str] = field(default_factory=dict)  # by version

    @property
    def decisions(self) -> int:
        return self.matching + self.differing + self.erased + self.without_model.total()

    @property
    def all_match(self) -> bool:
        return self.matching + self.erased == self.decisions


class _ReplayModel(NamedTuple):
    """A bundle, and the rules of the applications that it decided."""

    bundle: Bundle
    rules: Rules


class _UnusableInputs(Exception):
    """The stored inputs cannot be scored; the message says why without repeating them."""


class _Missing:
    """Placeholder for a part that only the other one of two values has."""

    def __repr__(self) -> str:
        return "nothing"


MISSING = _Missing()


def replay(
    report: Callable[[str], None], *, number: int | None = None, since: datetime | None = None
) -> Tally:
    """Recompute one decision, those since a moment, or all, and report each one that differs.

    It leaves out decisions that are stored while it runs.
    """
    tally = Tally()
    models: dict[str, _ReplayModel | str] = {}
    for row in _read_decisions(number=number, since=since):
        if row.contents is None:
            tally.erased += 1
            continue
        if row.model not in models:
            models[row.model] = _find_model(row.model)
        replay_model = models[row.model]
        if isinstance(replay_model, str):
            tally.without_model[row.model] += 1
            tally.model_errors[row.model] = replay_model
        elif differences := _row_differences(row, replay_model):
            tally.differing += 1
            report(f"decision {row.id}: {'; '.join(differences)}")
        else:
            tally.matching += 1
    if number is not None and not tally.decisions:
        raise NotFound(f"there is no decision {number}")
    return tally


def _read_decisions(*, number: int | None, since: datetime | None) -> Iterator[Any]:
    """Yield the rows of decisions; no transaction is open while a row is replayed."""
    conditions, after = [], 0
    if number is not None:
        conditions.append(DecisionRow.id == (number if 0 < number <= MAX_ID else 0))
    elif since is not None:
        conditions.append(DecisionRow.created_at >= since)
        # The sum makes PostgreSQL use the index on created_at: for a plain min(id) it would walk
        # the primary key through every older decision.
        after = (_read(select(func.min(DecisionRow.id + 0)).where(*conditions))[0][0] or 1) - 1
    last = _read(select(func.max(DecisionRow.id)))[0][0] or 0
    while after < last:
        within = (DecisionRow.id > after, DecisionRow.id <= last, *conditions)
        contents = DecisionContents.decision_id == DecisionRow.id
        query = select_decisions(*COLUMNS).outerjoin(DecisionContents, contents).where(*within)
        rows = _read(query.order_by(DecisionRow.id).limit(DECISIONS_PER_QUERY))
        yield from rows
        after = rows[-1].id if len(rows) == DECISIONS_PER_QUERY else last


def _read(query: Any) -> Sequence[Any]:  # noqa: ANN401 - a Select of any columns
    db.session.rollback()
    db.session.connection(execution_options=READ_ONLY)
    rows: Sequence[Any] = db.session.execute(query).all()
    db.session.rollback()
    return rows


def _find_model(version: str) -> _ReplayModel | str:
    """Return the model of a version, or the reason why it cannot be used."""
    try:
        bundle = model.find(version)
    except InvalidBundle as error:
        return str(error)
    return _ReplayModel(bundle, Rules(bundle.product))


def _row_differences(row: Any, by: _ReplayModel) -> list[str]:  # noqa: ANN401 - a row of COLUMNS
    try:
        application = _application(row.inputs, by.rules)
    except _UnusableInputs as error:
        return [f"its inputs cannot be scored: {error}"]
    computed_columns = _as_columns(decide(by.bundle, application))
    facts = read(Decision, row)
    damaged = facts.columns if isinstance(facts, Damaged) else ()
    differences = [f"{name} cannot be read" for name in damaged if name not in computed_columns]
    for column, computed in computed_columns.items():
        stored = getattr(row, column)
        if column in ("normalised", "reasons"):
            stored = _parsed(stored)
        of_column = list(_differences(column, stored, computed))
        differences += of_column[:MAX_DIFFERENCES_PER_COLUMN]
        if (more := len(of_column) - MAX_DIFFERENCES_PER_COLUMN) > 0:
            differences.append(f"{column} in {more} more")
    return differences


def _application(text: str, rules: Rules) -> Application:
    try:
        application = rules.check_json(text.encode())
    except MalformedApplication:
        raise _UnusableInputs("not a JSON object") from None
    except InvalidApplication as error:
        raise _UnusableInputs(str(error)) from None
    # The rules fill in optional fields, but stored inputs always hold every field.
    missing = application.keys() - json.loads(text).keys()
    if missing:
        raise _UnusableInputs(f"{', '.join(sorted(missing))}: missing")
    return application


def _as_columns(verdict: Verdict) -> dict[str, object]:
    return {
        "product": verdict.product,
        "probability": verdict.probability,
        "threshold": verdict.threshold,
        "model_decision": decision_value(verdict.granted),
        "decision": decision_value(verdict.granted),
        "amount": verdict.amount,
        "novelty": verdict.novelty,
        "normalised": verdict.normalised,
        "reasons": verdict.reasons and as_stored(verdict.reasons),
    }


def _parsed(text: str | None) -> object:
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return text


def _differences(path: str, stored: object, computed: object) -> Iterator[str]:
    """Yield each path below which two values differ; the stored one may have any structure."""
    if isinstance(computed, dict) and isinstance(stored, dict):
        for key in {**computed, **stored}:
            key_path = f"{path}.{key if key in computed else SHORT_REPR.repr(key)}"
            stored_part, computed_part = stored.get(key, MISSING), computed.get(key, MISSING)
            yield from _differences(key_path, stored_part, computed_part)
    elif isinstance(computed, list) and isinstance(stored, list) and len(stored) == len(computed):
        for place, parts in enumerate(zip(stored, computed, strict=True), 1):
            yield from _differences(f"{path}.{place}", *parts)
    elif not _equal(stored, computed, exact=path == "threshold"):
        yield f"{path} stored {_format(stored, computed)}, computed {_format(computed, stored)}"


def _equal(stored: object, computed: object, *, exact: bool) -> bool:
    if isinstance(computed, float) and isinstance(stored, float) and not exact:
        return abs(stored - computed) <= KNOWN_ANSWER_TOLERANCE
    return type(stored) is type(computed) and stored == computed


def _format(value: object, other: object) -> str:
    """Format a value briefly, but with enough digits to tell it from the other one."""
    if not isinstance(value, float):
        return SHORT_REPR.repr(value)
    short = f"{value:.7f}"
    ambiguous = isinstance(other, float) and short == f"{other:.7f}"
    return repr(value) if ambiguous or len(short) > 20 else short
