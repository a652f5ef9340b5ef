"""Checks whether the probability of a model follows the directions that the product states."""

import numpy as np
import pandas as pd

from ml.evaluation.reports import CURVE_ROWS, CURVE_VALUES, Curve
from ml.product.definition import Product
from ml.scoring.scorer import Scorer

ROUNDING = 1e-6  # a change of probability up to this is taken for a rounding error: our own choice


def curves(
    product: Product, scorer: Scorer, fields: pd.DataFrame, *, seed: int
) -> tuple[Curve, ...]:
    """Find the values at which more of a field moves the probability against its direction.

    Each of at most `CURVE_ROWS` rows is scored with at most `CURVE_VALUES` values of the field,
    which are quantiles of the rows. Ratios that use the field change with it.

    Parameters
    ----------
    product : Product
    scorer : Scorer
    fields : DataFrame of shape (n_samples, n_fields)
        The training rows.
    seed : int
        The seed of the sample of rows.

    Returns
    -------
    tuple of Curve
        One for each field with a direction. The directions of ratios are not checked.
    """
    rows = fields.sample(min(len(fields), CURVE_ROWS), random_state=seed)
    found = []
    for field in product.inputs:
        if field.monotone is None:
            continue
        known = fields[field.name].dropna()
        shares = np.linspace(0, 1, CURVE_VALUES)
        values = np.unique(known.quantile(shares, interpolation="nearest"))
        repeated = rows.iloc[np.tile(np.arange(len(rows)), len(values))]
        varied = repeated.assign(**{field.name: np.repeat(values, len(rows))})
        probability = scorer.score_many(varied).reshape(len(values), len(rows))
        upward = probability if field.monotone == "up" else -probability
        against = [bool((step < -ROUNDING).any()) for step in np.diff(upward, axis=0)]
        fall = np.maximum.accumulate(upward, axis=0) - upward
        found.append(
            Curve(
                field=field.name,
                label=field.label,
                stated=field.monotone,
                against=_stretches(values.astype(int).tolist(), against),
                fall=float(fall.max()) if any(against) else 0.0,
            )
        )
    return tuple(found)


def _stretches(values: list[int], against: list[bool]) -> tuple[tuple[int, int], ...]:
    """Return the intervals between values that are against the direction; join adjacent ones."""
    joined: list[tuple[int, int]] = []
    for first, last, is_against in zip(values, values[1:], against, strict=False):
        if is_against and joined and joined[-1][1] == first:
            joined[-1] = (joined[-1][0], last)
        elif is_against:
            joined.append((first, last))
    return tuple(joined)
