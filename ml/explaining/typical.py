"""What is typical of each field and ratio among the applications that were only just granted."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from ml.product.application import Application, Value
from ml.product.definition import Field, Product
from ml.product.figures import compute

# The ends of the interval that is called typical of a number. Between the quartiles lies the middle
# half of the rows, which is the box of a box plot (Tukey, 1977, "Exploratory Data Analysis").
LOWER_QUARTILE, UPPER_QUARTILE = 0.25, 0.75


class Typical(NamedTuple):
    """What is typical of a field or a ratio.

    Attributes
    ----------
    low, high : int, float, str or None
        The ends of the typical interval of a number, both included. For a flag or a choice, both
        are the most frequent answer. None if more than half of the applications lack a value.
    share : float
        The share of the applications that have a value from `low` to `high`, or that lack one if
        both are None.
    """

    low: float | str | None
    high: float | str | None
    share: float


def typical_values(product: Product, background: Sequence[Application]) -> dict[str, Typical]:
    """Find what is typical of each field and ratio.

    A ratio is not limited to its bounds here, and has no value where it cannot be computed.
    A quartile is the smallest value of the applications such that at least that share of those with
    a value are not above it, so it is always one of their values (definition 1 of Hyndman and Fan,
    1996, "Sample Quantiles in Statistical Packages"). Of two answers that are equally frequent, the
    first one of the product is typical; of a flag, "no".

    Parameters
    ----------
    product : Product
    background : sequence of Application
        The applications that were only just granted, with which `ml.explaining.reasons.Explainer`
        compares. At least one.

    Returns
    -------
    dict of str to Typical
        By the names of the fields and ratios.
    """
    found = {f.name: _of_field(f, [a[f.name] for a in background]) for f in product.inputs}
    for r in product.ratios:
        values = (compute(r, application) for application in background)
        found[r.name] = _interval([v for v in values if v is not None], rows=len(background))
    return found


def _of_field(field: Field, values: Sequence[Value]) -> Typical:
    given = [value for value in values if value is not None]
    if field.kind == "integer":
        return _interval([v for v in given if isinstance(v, int)], rows=len(values))
    if 2 * len(given) < len(values):
        return _lacking(given, rows=len(values))
    counts = Counter(given)
    answers: list[int | str] = [c.value for c in field.choices] or [0, 1]
    most = max(answers, key=lambda answer: counts[answer])  # the first one of the largest
    return Typical(most, most, counts[most] / len(values))


def _interval(given: Sequence[float], *, rows: int) -> Typical:
    if 2 * len(given) < rows:
        return _lacking(given, rows=rows)
    ascending = sorted(given)
    low, high = (
        ascending[math.ceil(quartile * len(ascending)) - 1]
        for quartile in (LOWER_QUARTILE, UPPER_QUARTILE)
    )
    return Typical(low, high, sum(low <= value <= high for value in given) / rows)


def _lacking(given: Sequence[object], *, rows: int) -> Typical:
    return Typical(None, None, (rows - len(given)) / rows)
