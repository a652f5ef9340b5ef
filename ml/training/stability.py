"""Measures how much the reasons of refusals depend on the rows of the background."""

import numpy as np
import pandas as pd

from ml.bundle.facts import ScorerKind
from ml.evaluation.reports import Stability
from ml.explaining.reasons import Explainer
from ml.product.application import Application
from ml.product.definition import Product
from ml.scoring.scorer import Scorer
from ml.training.dataset import as_applications
from ml.training.reference import BACKGROUND_ROWS, background

RESAMPLES = 10  # our own choice: ten backgrounds of 200 refusals give 2,000 comparisons
# The number of refused rows explained against each background, limited by time: all backgrounds
# take about a second for a linear model, and four for a kernel.
REFUSED = {"linear": 200, "rbf": 40}


def stability(
    product: Product,
    scorer: Scorer,
    fields: pd.DataFrame,
    *,
    kind: ScorerKind,
    threshold: float,
    seed: int,
) -> Stability | None:
    """Explain refused training rows against backgrounds of resampled training rows.

    Parameters
    ----------
    product : Product
    scorer : Scorer
        The model, which stays the same; only the background changes.
    fields : DataFrame of shape (n_samples, n_fields)
        The rows that the model was trained on.
    kind : {"linear", "rbf", "pipeline"}
        The kind of the scorer.
    threshold : float
        The lowest probability of being good at which a loan is granted.
    seed : int
        The seed of the choice of refused rows and of the resampling.

    Returns
    -------
    Stability or None
        None if no row is refused, or for a pipeline, whose explanations take too long.

    Raises
    ------
    InvalidData
        No row, or no resampled row, reaches the threshold.
    """
    probability = scorer.score_many(fields)
    below = np.flatnonzero(probability < threshold)
    if kind == "pipeline" or not below.size:
        return None
    rng = np.random.default_rng(seed)
    some = np.sort(rng.permutation(below)[: REFUSED[kind]])
    refused = as_applications(fields.iloc[some])
    count = BACKGROUND_ROWS[kind]

    def compared(rows: np.ndarray) -> list[Application]:
        return background(fields.iloc[rows], probability[rows], threshold=threshold, count=count)

    def principal_reasons(granted: list[Application]) -> list[list[str]]:
        explainer = Explainer(product, scorer, granted)
        return [_principal(explainer, application) for application in refused]

    own = compared(np.arange(len(fields)))
    original = principal_reasons(own)
    first, whole = [], []
    for _ in range(RESAMPLES):
        rows = np.sort(rng.integers(0, len(fields), len(fields)))
        resampled = principal_reasons(compared(rows))
        for before, after in zip(original, resampled, strict=True):
            first.append(before[:1] != after[:1])
            whole.append(set(before) != set(after))
    return Stability(
        background_rows=len(own),
        refused=len(refused),
        resamples=RESAMPLES,
        first_reason=float(np.mean(first)),
        principal_reasons=float(np.mean(whole)),
    )


def _principal(explainer: Explainer, application: Application) -> list[str]:
    """Return the fields of the principal reasons of a refusal, in order."""
    reasons = explainer.explain(application, granted=False).reasons
    return [reason.field for reason in reasons if reason.principal]
