"""Random applications for a product: used for known answers, tests and benchmarks."""

import math
import random

from ml.product.application import Application, Value
from ml.product.definition import Field, Product

UNSEEN = "never_seen"
UNSEEN_RATE = 0.1  # of choices, where unseen values are asked for
MISSING_RATE = 0.2  # of optional answers
LOG_UNIFORM_RATE = 0.5  # of numbers that cannot be negative; the others are uniform


def examples(product: Product, *, count: int, seed: int, unseen: bool = False) -> list[Application]:
    """Make random applications, all of them valid unless `unseen` is set.

    Parameters
    ----------
    product : Product
    count : int
    seed : int
    unseen : bool
        Whether some choices have the value `UNSEEN`, which no training row can have.

    Returns
    -------
    list of Application
        Some optional answers are missing.
    """
    rng = random.Random(seed)  # noqa: S311 - examples, not secrets
    return [_example(product, rng, unseen=unseen) for _ in range(count)]


def _example(product: Product, rng: random.Random, *, unseen: bool) -> Application:
    values: dict[str, Value] = {}
    for field in sorted(product.inputs, key=lambda f: f.at_most is not None):
        limit = values.get(field.at_most or "")
        values[field.name] = _answer(field, rng, limit=limit if isinstance(limit, int) else None)
        if unseen and field.kind == "choice" and rng.random() < UNSEEN_RATE:
            values[field.name] = UNSEEN
    return {f.name: values[f.name] for f in product.inputs}


def _answer(field: Field, rng: random.Random, *, limit: int | None) -> Value:
    if field.optional and rng.random() < MISSING_RATE:
        return None
    if field.kind == "choice":
        return rng.choice(field.choices).value
    if field.kind == "flag":
        return rng.randint(0, 1)
    low, high = field.minimum or 0, field.maximum or 0
    high = high if limit is None else max(low, min(high, limit))
    if rng.random() < LOG_UNIFORM_RATE and low >= 0:
        number = round(math.expm1(rng.uniform(math.log1p(low), math.log1p(high))))
        return min(high, max(low, number))
    return rng.randint(low, high)
