"""The part of the report on volume: the decisions of each hour of the last week."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from webapp.decisions.tables import DecisionCount
from webapp.extensions import db
from webapp.monitoring.days import Model
from webapp.monitoring.hours import HOUR

HOURS = 7 * 24


@dataclass(frozen=True)
class Volume:
    """The number of decisions in each of the last hours, the running one last."""

    first: datetime  # the start of the first hour, in UTC
    hours: list[int]

    @property
    def most(self) -> int:
        return max(self.hours)

    @property
    def busiest(self) -> datetime:
        """The start of the first hour with the most decisions."""
        return self.first + self.hours.index(self.most) * HOUR

    @property
    def days(self) -> list[datetime]:
        """The midnights within the hours."""
        return [hour for i in range(HOURS) if not (hour := self.first + i * HOUR).hour]


def volume(model: Model, *, now: datetime) -> Volume:
    c = DecisionCount
    first = now.replace(minute=0, second=0, microsecond=0) - (HOURS - 1) * HOUR
    query = (
        select(c.hour, func.sum(c.count))
        .where(c.product == model.product, c.model == model.version, c.hour >= first, ~c.correction)
        .group_by(c.hour)
    )
    counts = {hour: int(count) for hour, count in db.session.execute(query)}
    return Volume(first, [counts.get(first + i * HOUR, 0) for i in range(HOURS)])
