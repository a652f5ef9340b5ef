"""Counts the refused rows that would be granted if they left out an optional answer."""

import numpy as np
import pandas as pd

from ml.bundle.facts import Omission
from ml.product.definition import Product
from ml.scoring.scorer import Scorer


def omissions(
    product: Product, scorer: Scorer, fields: pd.DataFrame, *, threshold: float
) -> tuple[Omission, ...]:
    """Count the refused rows that would be granted without an answer, for each optional field.

    Parameters
    ----------
    product : Product
    scorer : Scorer
    fields : DataFrame of shape (n_samples, n_fields)
        The training rows, granted or refused.
    threshold : float
        The lowest probability of being good at which a loan is granted.

    Returns
    -------
    tuple of Omission
    """
    refused = fields[scorer.score_many(fields) < threshold]
    found = []
    for field in product.inputs:
        if not field.optional:
            continue
        answered = refused[refused[field.name].notna()]
        without = scorer.score_many(answered.assign(**{field.name: np.nan}))
        granted = int((without >= threshold).sum())
        found.append(
            Omission(field=field.name, label=field.label, refused=len(answered), granted=granted)
        )
    return tuple(found)
