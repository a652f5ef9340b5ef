"""Random applications for known answers, tests and benchmarks."""

import math
import random

from ml.product.application import Application, Value
from ml.product.definition import Field, Product

UNSEEN = "never_seen"
# The shares below are our own choice: large enough for each case to occur in a few applications.
UNSEEN_RATE = 0.1  # the share of choices with an unseen value, if unseen values are requested
MISSING_RATE = 0.2  # the share of optional answers that are missing
LOG_UNIFORM_RATE = 0.5  # the share of non-negative numbers drawn log-uniformly, not uniformly


def examples(product: Product, *, count: int, seed: int, unseen: bool = False) -> list[Application]:
    """Make random applications, which are valid unless `unseen` is true.

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
        Of length `count`. Some optional answers are missing.
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
