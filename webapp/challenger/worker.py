"""A challenger beside the champion: its scores of decided applications, and how the two compare."""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Text, cast, exists, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from ml.product.application import (
    Application,
    InvalidApplication,
    MalformedApplication,
    Rules,
    as_columns,
)
from webapp.challenger.tables import ChallengerScore
from webapp.columns import now
from webapp.config import check_challenger
from webapp.decisions.tables import Decision
from webapp.extensions import db
from webapp.ledger.transaction import writing
from webapp.serving.served import model

log = logging.getLogger(__name__)

EVERY = 1.0  # seconds from one look at the decisions to the next
SPAN = 20_000  # decisions looked through in one query
BATCH = 200  # decisions scored in one transaction
REST = 9  # a SQLite database is left to the decisions for nine tenths of the time
LONGEST_REST = 1.0  # seconds
# PostgreSQL may show a decision after one with a higher number. None that is so much older than
# another takes longer: a statement of the service ends after a sixth of this.
SETTLED = timedelta(minutes=1)

COUNTING = {"preserve_rowcount": True}
INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


class Challenger:
    """A candidate of the bundle at work, and up to which decision nothing is left for it."""

    def __init__(self, name: str) -> None:
        self._bundle = model.bundle
        check_challenger(name, there=self._bundle.challengers)
        self.name = name
        self._scorer = self._bundle.challenger(name)
        self._rules = Rules(self._bundle.product)
        self._done = 0
        self._unusable: set[int] = set()

    def turn(self) -> Iterator[int]:
        """Look through the decisions that may lack a score; yield how many got one, at each stop.

        The first turn looks through all, each later one through those of the last minute.
        """
        last, settled = self._ends()
        self._done = min(self._done, settled)
        while self._done < last:
            upto = min(self._done + SPAN, last)
            rows = self._unscored(upto)
            scored = self._score(rows)
            self._done = rows[-1].id if len(rows) == BATCH else upto
            yield scored

    def score_pending(self) -> int:
        """Score all decisions that lack a score, and return how many they were."""
        return sum(self.turn())

    def _ends(self) -> tuple[int, int]:
        """Return the last decision's number, and that of the last whose elders are all in sight."""
        db.session.rollback()  # ends what a turn that failed may have left
        last = db.session.scalar(select(func.max(Decision.id)))
        old = select(Decision.id).where(Decision.created_at < now() - SETTLED)
        settled = db.session.scalar(old.order_by(Decision.created_at.desc()).limit(1))
        return last or 0, settled or 0

    def _unscored(self, upto: int) -> Sequence[Any]:
        score = exists().where(
            ChallengerScore.challenger == self.name,
            ChallengerScore.decision_id == Decision.id,
            # Follows from the rest; said, PostgreSQL looks through no more scores than decisions.
            ChallengerScore.decision_id.between(self._done, upto),
        )
        # The inputs as they are written: what somebody put there need not be JSON.
        inputs = cast(Decision.inputs, Text).label("inputs")
        query = select(Decision.id, Decision.granted, inputs).where(
            Decision.id > self._done,
            Decision.id <= upto,
            Decision.model == self._bundle.version,
            ~score,
        )
        rows: Sequence[Any] = db.session.execute(query.order_by(Decision.id).limit(BATCH)).all()
        db.session.rollback()  # no transaction is open while the challenger thinks
        return rows

    def _score(self, rows: Sequence[Any]) -> int:
        usable = [(row, a) for row in rows if (a := self._application(row)) is not None]
        if not usable:
            return 0
        columns = as_columns([application for _, application in usable])
        probabilities = self._scorer.score_many(columns).tolist()
        found = []
        for (row, _), probability in zip(usable, probabilities, strict=True):
            granted = probability >= self._bundle.threshold
            found.append(
                {
                    "challenger": self.name,
                    "decision_id": row.id,
                    "probability": probability,
                    "granted": granted,
                    "agrees": granted == row.granted,
                    "created_at": now(),
                }
            )
        return _store(found)

    def _application(self, row: Any) -> Application | None:  # noqa: ANN401 - a row of _unscored
        try:
            return self._rules.check_json(row.inputs.encode())
        except (InvalidApplication, MalformedApplication):
            if row.id not in self._unusable:
                log.warning("challenger %s cannot score decision %s", self.name, row.id)
            self._unusable.add(row.id)
            return None


def _store(found: list[dict[str, Any]]) -> int:
    """Write scores and return how many another process had not written before."""
    table = ChallengerScore.__table__
    insert = INSERTS[db.engine.dialect.name](table).on_conflict_do_nothing()
    started = time.perf_counter()
    with writing():
        stored = db.session.connection().execute(insert, found, execution_options=COUNTING)
    time.sleep(min(REST * (time.perf_counter() - started), LONGEST_REST))
    return stored.rowcount


def work(challenger: Challenger, *, parent: int | None) -> None:
    """Score what comes, for ever, or until the process that started this one is gone."""
    waiting = False
    while _wanted(parent):
        try:
            for _ in challenger.turn():
                if not _wanted(parent):
                    return
            if waiting:
                log.info("challenger %s: the database answers again", challenger.name)
            waiting = False
        except DBAPIError as error:
            if not waiting:
                said = str(error.orig).partition("\n")[0]
                log.warning("challenger %s waits for the database: %s", challenger.name, said)
            waiting = True
        finally:
            db.session.remove()
        time.sleep(EVERY)


def _wanted(parent: int | None) -> bool:
    return parent is None or os.getppid() == parent
