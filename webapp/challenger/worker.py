"""The challenger at work: it scores what the model has decided, in a process of its own."""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Text, cast, exists, func, select
from sqlalchemy.exc import DBAPIError

from ml.product.application import (
    Application,
    InvalidApplication,
    MalformedApplication,
    Rules,
    as_columns,
)
from webapp.challenger.tables import ChallengerScore
from webapp.columns import now, word
from webapp.config import check_challenger
from webapp.database import insert_once
from webapp.decisions.tables import DecisionContents, DecisionRow
from webapp.extensions import db
from webapp.failures import OutcomeUnknown
from webapp.ledger.transaction import unit_of_work
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
        """Return the newest id, and the newest below which every id is committed."""
        db.session.rollback()  # ends what a turn that failed may have left
        last = db.session.scalar(select(func.max(DecisionRow.id)))
        old = select(DecisionRow.id).where(DecisionRow.created_at < now() - SETTLED)
        settled = db.session.scalar(old.order_by(DecisionRow.created_at.desc()).limit(1))
        return last or 0, settled or 0

    def _unscored(self, upto: int) -> Sequence[Any]:
        score = exists().where(
            ChallengerScore.challenger == self.name,
            ChallengerScore.decision_id == DecisionRow.id,
            # Follows from the rest; said, PostgreSQL looks through no more scores than decisions.
            ChallengerScore.decision_id.between(self._done, upto),
        )
        # The inputs as they are written: what somebody put there need not be JSON.
        inputs = cast(DecisionContents.inputs, Text).label("inputs")
        query = (
            select(DecisionRow.id, DecisionRow.model_decision, inputs)
            .join(DecisionContents, DecisionContents.decision_id == DecisionRow.id)
            .where(
                DecisionRow.id > self._done,
                DecisionRow.id <= upto,
                DecisionRow.model == self._bundle.version,
                ~score,
            )
        )
        found = db.session.execute(query.order_by(DecisionRow.id).limit(BATCH))
        rows: Sequence[Any] = found.all()
        db.session.rollback()  # release the read transaction before scoring
        return rows

    def _score(self, rows: Sequence[Any]) -> int:
        usable = [(row, a) for row in rows if (a := self._application(row)) is not None]
        if not usable:
            return 0
        columns = as_columns([application for _, application in usable])
        probabilities = self._scorer.score_many(columns).tolist()
        found = []
        for (row, _), probability in zip(usable, probabilities, strict=True):
            decision = word(probability >= self._bundle.threshold)
            found.append(
                {
                    "challenger": self.name,
                    "decision_id": row.id,
                    "created_at": now(),
                    "probability": probability,
                    "challenger_decision": decision,
                    "agrees": decision == row.model_decision,
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
    insert = insert_once(table, dialect=db.engine.dialect.name)
    started = time.perf_counter()
    with unit_of_work() as transaction:
        stored = transaction.execute(insert, found)
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
        except (DBAPIError, OutcomeUnknown) as error:  # what was not stored is scored again
            if not waiting:
                said = str(getattr(error, "orig", error)).partition("\n")[0]
                log.warning("challenger %s waits for the database: %s", challenger.name, said)
            waiting = True
        finally:
            db.session.remove()
        time.sleep(EVERY)


def _wanted(parent: int | None) -> bool:
    return parent is None or os.getppid() == parent
