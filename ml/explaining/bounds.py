"""How high a margin can be between two integers of one field, all others held."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ml.product.application import Application
from ml.product.definition import Field, Product, Ratio
from ml.scoring.features import transformed
from ml.scoring.margins import KernelMargin, LinearMargin
from ml.scoring.scorer import Scorer

# A column is rounded to about 1e-15 standard deviations: a break this near to an interval's end
# may be on either side of it.
EDGE = 1e-12
# Where a straight line may be said to end: beyond any number, and its square is finite.
FAR = 1e150


class Bend(NamedTuple):
    """How far from straight a function of the field is on each of several intervals.

    Attributes
    ----------
    second : ndarray of shape (n_intervals,)
        What the size of its second derivative never exceeds, where there is one.
    corners, steps : ndarray of shape (n_intervals,)
        What its first derivative and itself jump by, all jumps in an interval together.
    """

    second: np.ndarray
    corners: np.ndarray
    steps: np.ndarray


def bends(
    field: Field, *, product: Product, scorer: Scorer, application: Application
) -> Callable[[np.ndarray], Bend]:
    """Return what tells how the margin bends along a field.

    Parameters
    ----------
    field : Field
        An integer one.
    product : Product
    scorer : Scorer
        With a margin.
    application : Application
        What holds of all other fields.

    Returns
    -------
    callable
        From the ends of intervals, an ndarray of shape (2, n_intervals), to the Bend of the margin.
        The intervals lie on one side of 0 and do not reach it: there a transform or a ratio may
        have no slope.

    Raises
    ------
    ValueError
        The Scorer knows no margin.
    """
    columns = _columns(field, product, scorer, application)
    if isinstance(scorer.margin, LinearMargin):
        return _linear_bends(scorer.margin, columns)
    if isinstance(scorer.margin, KernelMargin):
        row = scorer.score({**application, field.name: 1}).row
        return _kernel_bends(scorer.margin, columns, row)
    raise ValueError("nothing is known of this model's margin")


def ceiling(ends: np.ndarray, margins: np.ndarray, bend: Bend) -> np.ndarray:
    """Return what a margin never exceeds between the ends of intervals.

    Parameters
    ----------
    ends : ndarray of shape (2, n_intervals)
    margins : ndarray of shape (2, n_intervals)
        At the ends.
    bend : Bend

    Returns
    -------
    ndarray of shape (n_intervals,)

    Notes
    -----
    A function is its chord less the integral over y of its second derivative times Green's
    function x (h - y) / h, x below y, with h the interval's width. Where the second derivative's
    size is M at most, that is the chord and M x (h - x) / 2 at most; a corner adds h / 4 of the
    slope's jump at most, the highest value of Green's function; a step adds itself at most.
    """
    width = np.abs(ends[1] - ends[0])
    rise = np.abs(margins[1] - margins[0])
    # Where the chord is too steep for the arch above it, the higher end is the highest point.
    arch = np.maximum(bend.second * width**2 / 2, rise)
    lean = np.divide(rise**2, arch, out=np.zeros(len(arch)), where=arch > 0)
    highest: np.ndarray = margins.mean(axis=0) + (arch + lean + bend.corners * width) / 4
    highest += bend.steps
    return highest


class _Path(NamedTuple):
    """Of a column, on each of several intervals: its range, and its slope and bend at most."""

    least: np.ndarray
    most: np.ndarray
    first: np.ndarray
    second: np.ndarray
    corners: np.ndarray


# A part of a column: its value, and the sizes of its first and second derivative. On either side
# of 0 each of the three only rises or only falls.
_Term = tuple[Callable[[np.ndarray], np.ndarray], ...]


@dataclass(frozen=True)
class _Column:
    """A normalised number as a function of the field: a sum of terms, clipped."""

    place: int  # among the Scorer's columns
    terms: list[_Term]
    clip: tuple[float, float]
    mean: float
    scale: float

    @property
    def passes(self) -> int:
        """How often at most it comes by one value on one side of 0.

        By Descartes' rule of signs, for c v^e + d v^(e+1) = b.
        """
        return len(self.terms)

    def path(self, ends: np.ndarray) -> _Path:
        low, high = self.clip
        values, firsts, seconds = (
            [function(ends) for function in functions]
            for functions in zip(*self.terms, strict=True)
        )
        least = np.sum([value.min(axis=0) for value in values], axis=0)
        most = np.sum([value.max(axis=0) for value in values], axis=0)
        # Where it is clipped throughout, it does not move.
        unit = ((most > low) & (least < high)) / self.scale
        first = unit * np.sum([size.max(axis=0) for size in firsts], axis=0)
        second = unit * np.sum([size.max(axis=0) for size in seconds], axis=0)
        cuts = np.add((least < low) & (most > low), (least < high) & (most > high), dtype=float)
        least, most = ((np.clip(end, low, high) - self.mean) / self.scale for end in (least, most))
        return _Path(least, most, first, second, self.passes * cuts * first)


def _columns(
    field: Field, product: Product, scorer: Scorer, application: Application
) -> list[_Column]:
    """Return the field's own column and those of its ratios that change with it."""
    own = _TERMS[field.transform] if field.transform else _power(1.0, 1)
    parts = [(field.name, [own], (-math.inf, math.inf))]
    for r in product.ratios:
        terms = _terms(r, field.name, application) if field.name in r.inputs else []
        if terms:
            parts.append((r.name, terms, (r.minimum, r.maximum)))
    return [
        _Column(scorer.columns.index(name), terms, clip, *scorer.place(name))
        for name, terms, clip in parts
    ]


def _terms(r: Ratio, name: str, application: Application) -> list[_Term]:
    """Return a ratio as c v^e + d v^(e+1); nothing where it is missing whatever v is."""
    held = {n: application[n] for n in r.inputs if n != name}
    known = {n: float(value) for n, value in held.items() if value is not None}
    if len(known) < len(held) or any(known.get(n) == 0 for n in r.over):
        return []
    factor = math.prod(known.get(n, 1.0) for n in r.times)
    factor /= math.prod(known.get(n, 1.0) for n in r.over)
    others = math.fsum(weight * known[n] for n, weight in r.sum.items() if n != name)
    power = r.times.count(name) - r.over.count(name)
    both = [(factor * others, power), (factor * r.sum.get(name, 0.0), power + 1)]
    return [_power(c, p) for c, p in both if c != 0]


def _power(c: float, p: int) -> _Term:
    return (
        lambda v: c * v**p,
        lambda v: np.abs(c * p * v ** (p - 1)),
        lambda v: np.abs(c * p * (p - 1) * v ** (p - 2)),
    )


_TERMS: dict[str, _Term] = {
    "log": (
        lambda v: transformed(v, "log"),
        lambda v: 1 / (1 + np.abs(v)),
        lambda v: 1 / (1 + np.abs(v)) ** 2,
    ),
    "sqrt": (np.sqrt, lambda v: 0.5 / np.sqrt(v), lambda v: 0.25 / v**1.5),
}


class _Curve:
    """A piecewise polynomial, constant outside its breaks."""

    def __init__(self, breaks: np.ndarray, pieces: np.ndarray) -> None:
        self._breaks, self._widths = breaks, np.diff(breaks)
        powers = np.arange(len(pieces))[::-1, None]
        self._first = (pieces * powers)[:-1]
        self._second = (self._first * powers[1:])[:-1]
        start = np.zeros(len(self._widths))
        # Outside, the curve goes on as it is at the break, and the slope is 0. Repeated knots
        # leave corners inside, and even steps.
        gaps = pieces[-1, 1:] - _polynomial(pieces, self._widths)[:-1]
        self._steps = np.abs([0.0, *gaps, 0.0])
        before = _polynomial(self._first, self._widths)
        after = _polynomial(self._first, start)
        self._corners = np.abs(np.subtract([*after, 0.0], [0.0, *before]))

    def over(self, least: np.ndarray, most: np.ndarray) -> tuple[np.ndarray, Bend]:
        """Return its slope at most between such values of the column, and its bend."""
        left, right = least[:, None] - EDGE, most[:, None] + EDGE
        touched = (left <= self._breaks[1:]) & (right >= self._breaks[:-1])
        start, stop = (np.clip(v - self._breaks[:-1], 0, self._widths) for v in (left, right))
        first, second = (
            (touched * _size(derivative, start, stop)).max(axis=1)
            for derivative in (self._first, self._second)
        )
        # A step counts at the very end too. A corner there bends nothing in between.
        inside = (left + 2 * EDGE < self._breaks) & (self._breaks < right - 2 * EDGE)
        within = (left <= self._breaks) & (self._breaks <= right)
        return first, Bend(second, inside @ self._corners, within @ self._steps)


def _polynomial(coefficients: np.ndarray, step: np.ndarray) -> np.ndarray:
    total = np.zeros(step.shape)
    for row in coefficients:
        total = total * step + row
    return total


def _size(coefficients: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Return what a polynomial's size never exceeds from start to stop, both 0 or more."""
    least, most = np.zeros(start.shape), np.zeros(start.shape)
    for power, row in enumerate(coefficients[::-1]):
        ends = row * start**power, row * stop**power
        least, most = least + np.minimum(*ends), most + np.maximum(*ends)
    return np.maximum(np.abs(least), np.abs(most))


def _linear_bends(margin: LinearMargin, columns: Sequence[_Column]) -> Callable[[np.ndarray], Bend]:
    straight = len(margin.curves)
    curves = [
        _Curve(*margin.curves[c.place])
        if c.place < straight
        else _Curve(np.array([-FAR, FAR]), np.array([[margin.weights[c.place - straight]], [0.0]]))
        for c in columns
    ]

    def bend(ends: np.ndarray) -> Bend:
        parts = []
        for column, curve in zip(columns, curves, strict=True):
            path = column.path(ends)
            slope, own = curve.over(path.least, path.most)
            second = own.second * path.first**2 + slope * path.second
            corners = slope * path.corners + column.passes * own.corners * path.first
            parts.append((second, corners, column.passes * own.steps))
        return Bend(*(np.sum(part, axis=0) for part in zip(*parts, strict=True)))

    return bend


def _kernel_bends(
    margin: KernelMargin, columns: Sequence[_Column], row: Sequence[float]
) -> Callable[[np.ndarray], Bend]:
    apart = (np.asarray(row) - margin.vectors) ** 2
    apart[:, [c.place for c in columns]] = 0
    size = float(np.abs(margin.dual) @ np.exp(-margin.gamma * apart.sum(axis=1)))
    # exp(-g|x|²) never exceeds 1. Along any line its slope never exceeds √(2g/e), nor its second
    # derivative 2g: both parts of the Hessian, along x and across it, are 2g at most in size.
    slope, own = math.sqrt(2 * margin.gamma / math.e), 2 * margin.gamma

    def bend(ends: np.ndarray) -> Bend:
        paths = [column.path(ends) for column in columns]
        squares = np.sum([path.first**2 for path in paths], axis=0)
        turn = np.sqrt(np.sum([path.second**2 for path in paths], axis=0))
        corners = np.sum([path.corners for path in paths], axis=0)
        none = np.zeros(len(corners))
        return Bend(size * (own * squares + slope * turn), size * slope * corners, none)

    return bend
