"""Replay: recompute decisions from their stored inputs, by the model that each names."""

import gc
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Text, cast, func, select

from ml.bundle.manifest import InvalidBundle
from ml.bundle.reader import Bundle
from ml.product.application import Rules
from webapp.audit.differences import name_differences
from webapp.audit.matching import find_matching
from webapp.columns import MAX_ID
from webapp.decisions.search import select_decisions
from webapp.decisions.tables import DecisionContents, DecisionRow
from webapp.extensions import db
from webapp.failures import NotFound
from webapp.processes import spread
from webapp.serving.served import model

DECISIONS_PER_QUERY = 1_000
READ_ONLY = {"postgresql_readonly": True}  # SQLite does not need it: reading takes no write lock
_c = DecisionContents
JSON_COLUMNS = (_c.inputs, _c.normalised, _c.reasons, _c.causes)
COLUMNS = (  # in addition to those of `select_decisions`
    DecisionContents.decision_id.label("contents"),
    # Cast to text, because a row that was changed by hand need not hold JSON.
    *(cast(c, Text).label(c.key) for c in JSON_COLUMNS),
)


@dataclass
class Tally:
    """Counts of replayed decisions, and of those that could not be replayed."""

    matching: int = 0
    differing: int = 0
    erased: int = 0  # without inputs
    without_model: Counter[str] = field(default_factory=Counter)  # by version
    model_errors: dict[str, str] = field(default_factory=dict)  # by version

    def add(self, other: "Tally") -> None:
        self.matching += other.matching
        self.differing += other.differing
        self.erased += other.erased
        self.without_model += other.without_model
        self.model_errors |= other.model_errors

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


def replay(
    report: Callable[[str], None],
    *,
    number: int | None = None,
    since: datetime | None = None,
    processes: int = 1,
) -> Tally:
    """Recompute one decision, those since a moment, or all, and report each one that differs.

    It leaves out decisions that are stored while it runs.
    """
    conditions, pages = _select(number=number, since=since)
    tally = Tally()
    replayer = _Replayer(conditions)
    with _undisturbed(), spread(replayer, pages, processes=processes) as replayed:
        for of_page, lines in replayed:
            tally.add(of_page)
            for line in lines:
                report(line)
    if number is not None and not tally.decisions:
        raise NotFound(f"there is no decision {number}")
    return tally


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Compute in one thread, and keep the garbage collector from searching the whole application.

    Where another process used a core too, replay with BLAS's own threads took twice as long. The
    garbage collector took a sixth of its time.
    """
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - not needed by web workers

    gc.freeze()
    try:
        with threadpool_limits(limits=1, user_api="blas"):
            yield
    finally:
        gc.unfreeze()


class _Replayer:
    """Replays pages of decisions, with the models that it finds."""

    def __init__(self, conditions: Sequence[Any]) -> None:
        self._conditions = conditions
        self._models: dict[str, _ReplayModel | str] = {}

    def __call__(self, page: range) -> tuple[Tally, list[str]]:
        """Replay the decisions whose numbers are in a range; return a line for each difference."""
        lines: list[str] = []
        tally = Tally()
        _replay_rows(self.read(page), self._models, tally, lines.append)
        return tally, lines

    def read(self, page: range) -> Sequence[Any]:
        """Return the rows of a page; no transaction is open while they are replayed."""
        within = DecisionRow.id.between(page.start, page.stop - 1), *self._conditions
        contents = DecisionContents.decision_id == DecisionRow.id
        query = select_decisions(*COLUMNS).outerjoin(DecisionContents, contents).where(*within)
        return _read(query.order_by(DecisionRow.id))


def _replay_rows(
    rows: Sequence[Any],
    models: dict[str, _ReplayModel | str],
    tally: Tally,
    report: Callable[[str], None],
) -> None:
    """Replay all rows at once, then each one that does not match alone, to name its differences."""
    of_model: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows:
        if row.contents is not None:
            of_model[row.model].append(row)
    matching: set[int] = set()
    for version, its_rows in of_model.items():
        if version not in models:
            models[version] = _find_model(version)
        replay_model = models[version]
        if not isinstance(replay_model, str):
            matching |= find_matching(its_rows, *replay_model)
    tally.matching += len(matching)
    for row in rows:
        if row.id not in matching:
            _replay_row(row, models, tally, report)


def _replay_row(
    row: Any,  # noqa: ANN401
    models: dict[str, _ReplayModel | str],
    tally: Tally,
    report: Callable[[str], None],
) -> None:
    if row.contents is None:
        tally.erased += 1
        return
    replay_model = models[row.model]
    if isinstance(replay_model, str):
        tally.without_model[row.model] += 1
        tally.model_errors[row.model] = replay_model
    elif differences := name_differences(row, *replay_model):
        tally.differing += 1
        report(f"decision {row.id}: {'; '.join(differences)}")
    else:
        tally.matching += 1


def _select(*, number: int | None, since: datetime | None) -> tuple[list[Any], list[range]]:
    """Return the conditions on what to replay, and all its pages as ranges of numbers."""
    if number is not None:
        number = number if 0 < number <= MAX_ID else 0
        return [], [range(number, number + 1)]
    conditions, first = [], 1
    if since is not None:
        conditions.append(DecisionRow.created_at >= since)
        # The sum makes PostgreSQL use the index on created_at: for a plain min(id) it would walk
        # the primary key through every older decision.
        first = _read(select(func.min(DecisionRow.id + 0)).where(*conditions))[0][0] or 1
    return conditions, list(_pages(conditions, first))


def _pages(conditions: Sequence[Any], first: int) -> Iterator[range]:
    """Yield ranges of numbers that begin at a first one; each has as many decisions as a page."""
    numbers = select(DecisionRow.id).where(*conditions).order_by(DecisionRow.id)
    last = _read(select(func.max(DecisionRow.id)))[0][0] or 0
    while first <= last:
        within = numbers.where(DecisionRow.id >= first, DecisionRow.id <= last)
        ends = _read(within.offset(DECISIONS_PER_QUERY - 1).limit(1))
        end = ends[0][0] if ends else last
        yield range(first, end + 1)
        first = end + 1


def _read(query: Any) -> Sequence[Any]:  # noqa: ANN401 - a Select of any columns
    db.session.rollback()
    connection = db.session.connection(execution_options=READ_ONLY)
    rows: Sequence[Any] = connection.execute(query).all()  # not by the session, which is slower
    db.session.rollback()
    return rows


def _find_model(version: str) -> _ReplayModel | str:
    """Return the model of a version, or the reason why it cannot be used."""
    try:
        bundle = model.find(version)
    except InvalidBundle as error:
        return str(error)
    return _ReplayModel(bundle, Rules(bundle.product))
