"""The challenger's worker, which scores decided applications in a separate process."""

import logging
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Text, cast, exists, func, select
from sqlalchemy.exc import DBAPIError

from ml.product.application import Application, Rules, as_columns
from ml.product.errors import InvalidApplication, MalformedApplication
from webapp.beside import parent_runs
from webapp.challenger.tables import ChallengerScore
from webapp.columns import decision_value, now
from webapp.config import check_challenger
from webapp.database import insert_once
from webapp.decisions.tables import DecisionContents, DecisionRow
from webapp.extensions import db
from webapp.failures import OutcomeUnknown
from webapp.ledger.transaction import unit_of_work
from webapp.serving.served import model

log = logging.getLogger(__name__)

SCAN_INTERVAL_SECONDS = 1.0
DECISIONS_PER_QUERY = 20_000  # searched for unscored ones
DECISIONS_PER_BATCH = 200  # scored in one transaction
# The pause after each write, as a multiple of its duration, so that a SQLite database is free for
# new decisions most of the time.
PAUSE_FACTOR = 9
MAX_PAUSE_SECONDS = 1.0
# PostgreSQL may commit a decision after one with a higher id, but not this much later: the
# statement_timeout in webapp/database.py cancels the service's statements much earlier.
MAX_COMMIT_DELAY = timedelta(minutes=1)


class Challenger:
    """A candidate of the bundle, and the id up to which it has scored every decision."""

    def __init__(self, name: str, *, pauses: bool = True) -> None:
        self._pauses = pauses  # between two batches
        self._bundle = model.bundle
        check_challenger(name, there=self._bundle.challengers)
        self.name = name
        self._scorer = self._bundle.challenger(name)
        self._rules = Rules(self._bundle.product)
        self._scored_id = 0
        self._unusable: set[int] = set()

    def scan(self) -> Iterator[int]:
        """Score the decisions that may lack a score, and yield the number of each batch.

        The first scan covers all decisions, each later one those of the last `MAX_COMMIT_DELAY`.
        """
        last, settled = self._newest_ids()
        self._scored_id = min(self._scored_id, settled)
        while self._scored_id < last:
            end = min(self._scored_id + DECISIONS_PER_QUERY, last)
            rows = self._unscored(end)
            scored = self._score(rows)
            self._scored_id = rows[-1].id if len(rows) == DECISIONS_PER_BATCH else end
            yield scored

    def score_pending(self) -> int:
        """Score all decisions that lack a score, and return their number."""
        return sum(self.scan())

    def _newest_ids(self) -> tuple[int, int]:
        """Return the newest id, and the newest below which every id is committed."""
        db.session.rollback()  # end the transaction of a scan that failed
        last = db.session.scalar(select(func.max(DecisionRow.id)))
        old = select(DecisionRow.id).where(DecisionRow.created_at < now() - MAX_COMMIT_DELAY)
        settled = db.session.scalar(old.order_by(DecisionRow.created_at.desc()).limit(1))
        return last or 0, settled or 0

    def _unscored(self, end: int) -> Sequence[Any]:
        score = exists().where(
            ChallengerScore.challenger == self.name,
            ChallengerScore.decision_id == DecisionRow.id,
            # Redundant, but lets PostgreSQL read only the scores of this range.
            ChallengerScore.decision_id.between(self._scored_id, end),
        )
        # Cast to text, because a row that was changed by hand need not hold JSON.
        inputs = cast(DecisionContents.inputs, Text).label("inputs")
        query = (
            select(DecisionRow.id, DecisionRow.model_decision, inputs)
            .join(DecisionContents, DecisionContents.decision_id == DecisionRow.id)
            .where(
                DecisionRow.id > self._scored_id,
                DecisionRow.id <= end,
                DecisionRow.model == self._bundle.version,
                ~score,
            )
        )
        result = db.session.execute(query.order_by(DecisionRow.id).limit(DECISIONS_PER_BATCH))
        rows: Sequence[Any] = result.all()
        db.session.rollback()  # release the read transaction before scoring
        return rows

    def _score(self, rows: Sequence[Any]) -> int:
        usable = [(row, a) for row in rows if (a := self._application(row)) is not None]
        if not usable:
            return 0
        columns = as_columns([application for _, application in usable])
        probabilities = self._scorer.score_many(columns).tolist()
        scores = []
        for (row, _), probability in zip(usable, probabilities, strict=True):
            decision = decision_value(probability >= self._bundle.threshold)
            scores.append(
                {
                    "challenger": self.name,
                    "decision_id": row.id,
                    "created_at": now(),
                    "probability": probability,
                    "challenger_decision": decision,
                    "agrees": decision == row.model_decision,
                }
            )
        return _store(scores, pauses=self._pauses)

    def _application(self, row: Any) -> Application | None:  # noqa: ANN401 - a row of _unscored
        try:
            return self._rules.check_json(row.inputs.encode())
        except (InvalidApplication, MalformedApplication):
            if row.id not in self._unusable:
                log.warning("challenger %s cannot score decision %s", self.name, row.id)
            self._unusable.add(row.id)
            return None


def _store(scores: list[dict[str, Any]], *, pauses: bool) -> int:
    """Store scores, and return how many of them another process had not stored already."""
    table = ChallengerScore.__table__
    insert = insert_once(table, dialect=db.engine.dialect.name)
    started = time.perf_counter()
    with unit_of_work() as transaction:
        stored = transaction.execute(insert, scores)
    if pauses:
        time.sleep(min(PAUSE_FACTOR * (time.perf_counter() - started), MAX_PAUSE_SECONDS))
    return stored.rowcount


def work(challenger: Challenger, *, parent: int | None) -> None:
    """Score decisions as they are stored, until the parent process, if one is given, has ended."""
    waiting = False
    while parent_runs(parent):
        try:
            for _ in challenger.scan():
                if not parent_runs(parent):
                    return
            if waiting:
                log.info("challenger %s: the database answers again", challenger.name)
            waiting = False
        except (DBAPIError, OutcomeUnknown) as error:  # what was not stored is scored again
            if not waiting:
                reason = str(getattr(error, "orig", error)).partition("\n")[0]
                log.warning("challenger %s waits for the database: %s", challenger.name, reason)
            waiting = True
        finally:
            db.session.remove()
        time.sleep(SCAN_INTERVAL_SECONDS)
