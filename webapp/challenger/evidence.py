"""What is known of a challenger from outcomes: the results of the watch, one for each quarter."""

from dataclasses import dataclass
from datetime import date
from itertools import groupby, islice

from sqlalchemy import select

from ml.monitoring.sequential import LOG_ALARM
from webapp.challenger.tables import ChallengerEvidence
from webapp.extensions import db


@dataclass(frozen=True)
class Evidence:
    """The tests of a challenger, on the loans that were granted in a quarter.

    `better` and `worse` are the highest evidence, as natural logarithms, that the challenger's
    probabilities are better, or worse, than the champion's.
    """

    product: str
    model: str
    challenger: str
    period: date
    outcomes: int
    champion_brier: float
    challenger_brier: float
    better: float
    worse: float

    @property
    def is_better(self) -> bool:
        return self.better >= LOG_ALARM

    @property
    def is_worse(self) -> bool:
        return self.worse >= LOG_ALARM

    @property
    def alarm(self) -> bool:
        return self.is_better or self.is_worse


def latest_evidence() -> list[Evidence]:
    """Return the last quarter with tested loans of each model and challenger.

    It is the one before if only that has an alarm.
    """
    e = ChallengerEvidence
    query = (
        select(
            *(e.product, e.model, e.challenger, e.period, e.outcomes),
            *(e.champion_brier / e.outcomes, e.challenger_brier / e.outcomes),
            *(e.better_highest, e.worse_highest),
        )
        .where(e.outcomes > 0)
        .order_by(e.product, e.model, e.challenger, e.period.desc())
    )
    rows = [Evidence(*row) for row in db.session.execute(query)]
    found = []
    for _, of_pair in groupby(rows, key=lambda one: (one.product, one.model, one.challenger)):
        last = list(islice(of_pair, 2))
        found.append(next((one for one in last if one.alarm), last[0]))
    return found
