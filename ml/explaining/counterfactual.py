"""What would have been granted: the nearest value of a field that the applicant can change."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

from ml.explaining.bounds import bends, ceiling
from ml.product.application import Application, Value
from ml.product.definition import Field, Product
from ml.scoring.scorer import Scorer

# Rounding moves a probability by about 1e-15 and a margin by about 1e-13, which no bound knows of:
# whatever comes this near to the threshold is looked at.
SLACK = 1e-9
# A model without a margin is asked about every value: so many at first, for most answers are near
# and a call costs more than its rows, then ever more. Asking about the most of them takes the
# slowest of our candidates, the nearest neighbours, about a second.
FIRST, GROWTH, MOST = 64, 4, 10_000

Direction = Literal["less", "more"]


class Counterfactual(NamedTuple):
    """What one field would have to be for the application to be granted, on one side.

    Attributes
    ----------
    field : str
        Its name.
    direction : {"less", "more"}
        Than the value applied for.
    value : int or None
        The nearest that is granted; None where none is.
    probability : float or None
        What the Scorer says of it.
    searched : (int, int) or None
        The first and the last of the integers among which it is the nearest, or none is granted;
        None where there is no integer on that side.
    """

    field: str
    direction: Direction
    value: int | None
    probability: float | None
    searched: tuple[int, int] | None


def nearest_granted(
    product: Product,
    scorer: Scorer,
    application: Application,
    *,
    threshold: float,
    ranges: Mapping[str, tuple[int, int]],
) -> list[Counterfactual]:
    """Find what would have been granted instead, one field at a time and all else equal.

    Of the amount only less is looked for, of every other integer that the applicant can change
    both less and more. All values lie in the field's own range and in that of the training data,
    and pass no limit that another field sets. Where an optional field was left empty, less is the
    largest granted value and more the smallest.

    Where the model has a margin, nothing nearer is missed: a part of the range is left out only
    where a bound of the margin's second derivative rules out that any value in it is granted. Any
    other model is asked about every value, up to `MOST` of them on a side.

    Parameters
    ----------
    product : Product
    scorer : Scorer
    application : Application
        A refused one.
    threshold : float
        The probability from which on an application is granted, above 0.
    ranges : mapping of str to (int, int)
        The smallest and the largest value of each such field in training.

    Returns
    -------
    list of Counterfactual
        In the product's order, less before more.
    """
    changes = []
    for field in product.inputs:
        if field.changeable and field.kind == "integer":
            search = _Search(field, product, scorer, application, threshold)
            low, high = _range(field, product, application, ranges)
            for direction, values in _sides(field, product, application[field.name], low, high):
                changes.append(search.change(direction, values))
    return changes


def _range(
    field: Field,
    product: Product,
    application: Application,
    ranges: Mapping[str, tuple[int, int]],
) -> tuple[int, int]:
    """Return the least and the most that the field may be, all others being what they are."""
    low, high = ranges[field.name]
    limited = [other.name for other in product.inputs if other.at_most == field.name]
    lows = [low, field.minimum, *(application[name] for name in limited)]
    highs = [high, field.maximum, application[field.at_most] if field.at_most else None]
    return max(v for v in lows if isinstance(v, int)), min(v for v in highs if isinstance(v, int))


def _sides(
    field: Field, product: Product, applied: Value, low: int, high: int
) -> list[tuple[Direction, range]]:
    """Return the values on each side that is searched, the nearest first."""
    below, above = high, low
    if isinstance(applied, int):
        below, above = min(high, applied - 1), max(low, applied + 1)
    less, more = range(below, low - 1, -1), range(above, high + 1)
    return [("less", less)] if field.name == product.amount else [("less", less), ("more", more)]


class _Point(NamedTuple):
    """What the Scorer says of one value; the margin is the one towards granting."""

    value: int
    margin: float
    probability: float
    granted: bool


_Interval = tuple[_Point, _Point]  # the nearer end first


class _Search:
    """Looks for the granted values of one field of one application."""

    def __init__(
        self,
        field: Field,
        product: Product,
        scorer: Scorer,
        application: Application,
        threshold: float,
    ) -> None:
        self._name, self._scorer, self._application = field.name, scorer, application
        self._threshold = threshold
        self._known: dict[int, _Point] = {}
        self._sign = 1
        if scorer.margin is not None:
            self._bends = bends(field, product=product, scorer=scorer, application=application)
            # Calibration may have found that a higher margin makes a good loan less likely.
            self._sign = 1 if scorer.margin_at(0.75) > scorer.margin_at(0.25) else -1
            self._needed = self._sign * scorer.margin_at(threshold * (1 - SLACK))

    def change(self, direction: Direction, values: range) -> Counterfactual:
        """Return the first of the values that is granted; they are in the order of nearness."""
        if not values:
            return Counterfactual(self._name, direction, None, None, None)
        if self._scorer.margin is None:
            found, last = self._asked(values[:MOST])
        else:
            found, last = self._bounded(values), values[-1]
        searched = (min(values[0], last), max(values[0], last))
        value, probability = (found.value, found.probability) if found else (None, None)
        return Counterfactual(self._name, direction, value, probability, searched)

    def _asked(self, values: range) -> tuple[_Point | None, int]:
        """Ask about every value; return the last one asked about as well."""
        start, size = 0, FIRST
        while start < len(values):
            chunk = values[start : start + size]
            same = {name: [value] * len(chunk) for name, value in self._application.items()}
            probability = self._scorer.score_many({**same, self._name: list(chunk)})
            likely = probability >= self._threshold - SLACK
            points = self._until_granted([v for v, ask in zip(chunk, likely, strict=True) if ask])
            if points and points[-1].granted:
                return points[-1], chunk[-1]
            start, size = start + size, size * GROWTH
        return None, values[-1]

    def _bounded(self, values: range) -> _Point | None:
        """Halve every interval in which a value may be granted, until none is left."""
        # No bound holds across 0 or at it.
        around = [v for v in (-values.step, 0, values.step) if v in values[1:-1]]
        found, chains = None, [[values[0], *around, values[-1]]]
        while chains:
            intervals: list[_Interval] = []
            for chain in chains:
                points = self._until_granted(chain)
                intervals += pairwise(points)
                if points[-1].granted:
                    found = points[-1]
                    break
            ends = [(near.value, far.value) for near, far in self._open(intervals)]
            chains = [[near, (near + far) // 2, far] for near, far in ends]
        return found

    def _until_granted(self, values: Sequence[int]) -> list[_Point]:
        points = []
        for value in values:
            points.append(self._look(value))
            if points[-1].granted:
                break
        return points

    def _look(self, value: int) -> _Point:
        if value not in self._known:
            score = self._scorer.score({**self._application, self._name: value})
            margin = self._scorer.margin.one(score.row) if self._scorer.margin else math.nan
            granted = score.probability >= self._threshold
            self._known[value] = _Point(value, self._sign * margin, score.probability, granted)
        return self._known[value]

    def _open(self, intervals: list[_Interval]) -> list[_Interval]:
        """Return the intervals inside which a value may be granted."""
        wide = [i for i in intervals if abs(i[0].value - i[1].value) > 1]
        if not wide:
            return []
        ends = np.array([[p.value for p in i] for i in wide], dtype=np.float64).T
        margins = np.array([[p.margin for p in i] for i in wide]).T
        highest = ceiling(ends, margins, self._bends(ends))
        return [i for i, top in zip(wide, highest, strict=True) if top >= self._needed]
