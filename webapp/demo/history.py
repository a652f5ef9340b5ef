"""Plans an invented history: real rows of the training data, at plausible hours."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

import numpy as np

from ml.product.application import Application, Rules
from ml.product.definition import Product
from ml.product.errors import InvalidApplication

# How many decisions each day of the week and each hour (UTC) has, in relation to others.
WEEK = (1.0, 1.1, 1.0, 1.0, 0.9, 0.3, 0.0)
HOURS = dict(zip(range(7, 17), (0.4, 0.9, 1.2, 1.3, 0.9, 0.6, 1.0, 1.2, 1.0, 0.5), strict=True))
SLOTS = 6  # of an hour, each with a moment of its own
DRIFT_AT, BREAK_AT = 2 / 3, 1 / 3  # parts of the history
DRAWS = 3  # from the drift on, the row with the largest amount of so many is taken
LOST = 0.25  # from the break on, this share of the loans that would be good goes bad
KNOWN_DAYS = 60  # after which every outcome is known; bad ones are known earlier
FIRST_BAD_DAYS = 20


class Row(NamedTuple):
    """A row of the training data."""

    application: Application
    good: bool
    protected: Mapping[str, str]  # the fields with a value


class Moment(NamedTuple):
    """What is decided at a moment."""

    moment: datetime
    rows: list[Row]


@dataclass(frozen=True)
class History:
    """A plan of decisions on the days before today, with what happens on some of them."""

    first: date
    days: int
    decisions: int
    seed: int

    @property
    def drift(self) -> date:
        """The day from which larger loans are applied for."""
        return self.first + timedelta(days=int(self.days * DRIFT_AT))

    @property
    def broken(self) -> date:
        """The day from which some of the granted loans go bad that would have been good."""
        return self.first + timedelta(days=int(self.days * BREAK_AT))

    def moments(self, product: Product, rows: list[Row]) -> Iterator[Moment]:
        """Yield what is decided, in the order of time."""
        random = np.random.default_rng(self.seed)
        amounts = [int(row.application[product.amount] or 0) for row in rows]
        days = [self.first + timedelta(days=i) for i in range(self.days)]
        weights = np.outer([WEEK[day.weekday()] for day in days], list(HOURS.values()))
        counts = random.multinomial(self.decisions, (weights / weights.sum()).ravel())
        hours = ((day, hour) for day in days for hour in HOURS)
        for (day, hour), count in zip(hours, counts.tolist(), strict=True):
            draws = DRAWS if day >= self.drift else 1
            chosen = random.integers(len(rows), size=(count, draws)).tolist()
            some = [rows[max(several, key=amounts.__getitem__)] for several in chosen]
            for slot in range(SLOTS):
                if some[slot::SLOTS]:
                    minutes = 10 * slot + random.uniform(0, 10)
                    start = datetime.combine(day, time(hour), UTC)
                    yield Moment(start + timedelta(minutes=minutes), some[slot::SLOTS])

    def outcome(self, day: date, *, good: bool, random: np.random.Generator) -> tuple[bool, date]:
        """Return what comes of a loan that is granted on a day, and when it becomes known."""
        if day >= self.broken and random.random() < LOST:
            good = False
        after = KNOWN_DAYS if good else int(random.integers(FIRST_BAD_DAYS, KNOWN_DAYS))
        return good, day + timedelta(days=after)


def read_rows(product: Product) -> list[Row]:
    """Read the training data of a product that is shipped."""
    rules, rows = Rules(product), []
    with product.data_file.open(encoding="utf-8", newline="") as file:
        for cells in csv.DictReader(file):
            try:
                application = rules.check_text({f.name: cells[f.name] for f in product.inputs})
            except InvalidApplication:  # training leaves it out, too
                continue
            protected = {f.name: cells.get(f.name, "").strip() for f in product.protected}
            known = {name: value for name, value in protected.items() if value}
            rows.append(Row(application, cells[product.target] == "1", known))
    return rows
