"""Random applications that a product allows: for known answers, tests and benchmarks."""

import math
import random

from ml.product.application import Application, Value
from ml.product.definition import Field, Product

UNSEEN = "never_seen"


def examples(product: Product, *, count: int, seed: int, unseen: bool = False) -> list[Application]:
    """Make random applications, each valid but for the unseen words that may be asked for.

    Parameters
    ----------
    product : Product
    count : int
    seed : int
    unseen : bool
        Whether one choice in ten is a word that no training row can hold.

    Returns
    -------
    list of Application
        One optional answer in five is missing.
    """
    rng = random.Random(seed)  # noqa: S311 - examples, not secrets
    return [_example(product, rng, unseen=unseen) for _ in range(count)]


def _example(product: Product, rng: random.Random, *, unseen: bool) -> Application:
    values: dict[str, Value] = {}
    for field in sorted(product.inputs, key=lambda f: f.at_most is not None):
        limit = values.get(field.at_most or "")
        values[field.name] = _answer(field, rng, limit=limit if isinstance(limit, int) else None)
        if unseen and field.kind == "choice" and rng.random() < 0.1:
            values[field.name] = UNSEEN
    return {f.name: values[f.name] for f in product.inputs}


def _answer(field: Field, rng: random.Random, *, limit: int | None) -> Value:
    if field.optional and rng.random() < 0.2:
        return None
    if field.kind == "choice":
        return rng.choice(field.choices).value
    if field.kind == "flag":
        return rng.randint(0, 1)
    low, high = field.minimum or 0, field.maximum or 0
    high = high if limit is None else max(low, min(high, limit))
    if (
        rng.random() < 0.5 and low >= 0
    ):  # half of them even in size, not in value: small loans are common
        return min(
            high, max(low, round(math.expm1(rng.uniform(math.log1p(low), math.log1p(high)))))
        )
    return rng.randint(low, high)
