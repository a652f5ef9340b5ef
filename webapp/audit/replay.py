"""Replay: decisions computed again from their stored inputs, by the model that each names."""

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
from webapp.columns import LAST_ID, word
from webapp.decisions.damage import Damaged, read
from webapp.decisions.records import Decision
from webapp.decisions.search import select_decisions
from webapp.decisions.service import as_stored
from webapp.decisions.tables import DecisionContents, DecisionRow
from webapp.extensions import db
from webapp.failures import NotFound
from webapp.serving.served import model

PAGE = 500
NAMED = 5  # differences of one column that a line names
READING = {"postgresql_readonly": True}  # a transaction on SQLite reads until it writes
CONTENTS = (DecisionContents.inputs, DecisionContents.normalised, DecisionContents.reasons)
COLUMNS = (  # beside the facts
    DecisionContents.decision_id.label("contents"),
    # As they are written: what somebody put there need not be JSON.
    *(cast(c, Text).label(c.key) for c in CONTENTS),
)
SHOWN = reprlib.Repr()  # what somebody put there may be of any size and depth
SHOWN.maxstring = SHOWN.maxother = 80


@dataclass
class Tally:
    """How many decisions were computed again, and which could not be."""

    matching: int = 0
    differing: int = 0
    erased: int = 0  # nothing is left of them to compute again
    without_model: Counter[str] = field(default_factory=Counter)
    why: dict[str, str] = field(default_factory=dict)  # by version

    @property
    def decisions(self) -> int:
        return self.matching + self.differing + self.erased + self.without_model.total()

    @property
    def proven(self) -> bool:
        return self.matching + self.erased == self.decisions


class _Judge(NamedTuple):
    """A model and the rules that its applications kept to."""

    bundle: Bundle
    rules: Rules


class _Unusable(Exception):
    """No decision can come from these inputs; the message says why, and repeats none of them."""


class _Nothing:
    """Stands where only the other of two values has a part."""

    def __repr__(self) -> str:
        return "nothing"


NOTHING = _Nothing()


def replay(
    tell: Callable[[str], None], *, number: int | None = None, since: datetime | None = None
) -> Tally:
    """Compute decisions again, one of them or those since a moment or all, and tell what differs.

    Decisions that come while it runs are left to the next replay.
    """
    tally = Tally()
    judges: dict[str, _Judge | str] = {}
    for row in _stored(number=number, since=since):
        if row.contents is None:
            tally.erased += 1
            continue
        if row.model not in judges:
            judges[row.model] = _judge(row.model)
        judge = judges[row.model]
        if isinstance(judge, str):
            tally.without_model[row.model] += 1
            tally.why[row.model] = judge
        elif differences := _differences(row, judge):
            tally.differing += 1
            tell(f"decision {row.id}: {'; '.join(differences)}")
        else:
            tally.matching += 1
    if number is not None and not tally.decisions:
        raise NotFound(f"there is no decision {number}")
    return tally


def _stored(*, number: int | None, since: datetime | None) -> Iterator[Any]:
    """Read decisions page by page; no transaction is open while they are judged."""
    wanted, after = [], 0
    if number is not None:
        wanted.append(DecisionRow.id == (number if 0 < number <= LAST_ID else 0))
    elif since is not None:
        wanted.append(DecisionRow.created_at >= since)
        # Of a sum, so that PostgreSQL looks by the moment and not through every older decision.
        after = (_read(select(func.min(DecisionRow.id + 0)).where(*wanted))[0][0] or 1) - 1
    last = _read(select(func.max(DecisionRow.id)))[0][0] or 0
    while after < last:
        within = (DecisionRow.id > after, DecisionRow.id <= last, *wanted)
        contents = DecisionContents.decision_id == DecisionRow.id
        query = select_decisions(*COLUMNS).outerjoin(DecisionContents, contents).where(*within)
        rows = _read(query.order_by(DecisionRow.id).limit(PAGE))
        yield from rows
        after = rows[-1].id if len(rows) == PAGE else last


def _read(query: Any) -> Sequence[Any]:  # noqa: ANN401 - a Select of any columns
    db.session.rollback()
    db.session.connection(execution_options=READING)
    rows: Sequence[Any] = db.session.execute(query).all()
    db.session.rollback()
    return rows


def _judge(version: str) -> _Judge | str:
    try:
        bundle = model.find(version)
    except InvalidBundle as error:
        return str(error)
    return _Judge(bundle, Rules(bundle.product))


def _differences(row: Any, judge: _Judge) -> list[str]:  # noqa: ANN401 - a row of COLUMNS
    try:
        application = _application(row.inputs, judge.rules)
    except _Unusable as error:
        return [f"its inputs cannot be scored: {error}"]
    computed = _computed(decide(judge.bundle, application))
    facts = read(Decision, row)
    damaged = facts.columns if isinstance(facts, Damaged) else ()
    found = [f"{name} cannot be read" for name in damaged if name not in computed]
    for name, value in computed.items():
        stored = getattr(row, name)
        if name in ("normalised", "reasons"):
            stored = _parsed(stored)
        apart = list(_apart(name, stored, value))
        found += apart[:NAMED]
        if len(apart) > NAMED:
            found.append(f"{name} in {len(apart) - NAMED} more")
    return found


def _application(text: str, rules: Rules) -> Application:
    try:
        application = rules.check_json(text.encode())
    except MalformedApplication:
        raise _Unusable("they are no JSON object") from None
    except InvalidApplication as error:
        raise _Unusable(str(error)) from None
    lacking = application.keys() - json.loads(text).keys()  # the rules let an optional one lack
    if lacking:
        raise _Unusable(f"{', '.join(sorted(lacking))}: not there")
    return application


def _computed(verdict: Verdict) -> dict[str, object]:
    return {
        "product": verdict.product,
        "probability": verdict.probability,
        "threshold": verdict.threshold,
        "model_decision": word(verdict.granted),
        "decision": word(verdict.granted),
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


def _apart(name: str, stored: object, computed: object) -> Iterator[str]:
    """Yield each place where two values differ; only the computed one is surely of good shape."""
    if isinstance(computed, dict) and isinstance(stored, dict):
        for key in {**computed, **stored}:
            told = f"{name}.{key if key in computed else SHOWN.repr(key)}"
            yield from _apart(told, stored.get(key, NOTHING), computed.get(key, NOTHING))
    elif isinstance(computed, list) and isinstance(stored, list) and len(stored) == len(computed):
        for place, (one, other) in enumerate(zip(stored, computed, strict=True), 1):
            yield from _apart(f"{name}.{place}", one, other)
    elif not _same(stored, computed, exactly=name == "threshold"):
        yield f"{name} stored {_shown(stored, computed)}, computed {_shown(computed, stored)}"


def _same(stored: object, computed: object, *, exactly: bool) -> bool:
    if isinstance(computed, float) and isinstance(stored, float) and not exactly:
        return abs(stored - computed) <= KNOWN_ANSWER_TOLERANCE
    return type(stored) is type(computed) and stored == computed


def _shown(value: object, beside: object) -> str:
    """Write a value short, but not so short that it looks like the one beside it."""
    if not isinstance(value, float):
        return SHOWN.repr(value)
    short = f"{value:.7f}"
    alike = isinstance(beside, float) and short == f"{beside:.7f}"
    return repr(value) if alike or len(short) > 20 else short
