"""How much reasons depend on which rows they are compared with."""

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

RESAMPLES = 10
# Refused rows explained against each background: about a second for a linear model, four for a
# kernel, whose explanation takes fifty times as long.
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
        The model stays the same; only the background changes.
    fields : DataFrame of shape (n_samples, n_fields)
        The rows that the model was trained on.
    kind : {"linear", "rbf", "pipeline"}
    threshold : float
    seed : int

    Returns
    -------
    Stability or None
        None where nothing is refused, or for a pipeline, whose explanations take too long.
    """
    probability = scorer.score_many(fields)
    places = np.flatnonzero(probability < threshold)
    if kind == "pipeline" or not places.size:
        return None
    rng = np.random.default_rng(seed)
    some = np.sort(rng.permutation(places)[: REFUSED[kind]])
    refused = as_applications(fields.iloc[some])
    count = BACKGROUND_ROWS[kind]

    def told(kept: np.ndarray) -> list[list[str]]:
        rows = background(fields.iloc[kept], probability[kept], threshold=threshold, count=count)
        explainer = Explainer(product, scorer, rows)
        return [_principal(explainer, application) for application in refused]

    usual = told(np.arange(len(fields)))
    first, whole = [], []
    for _ in range(RESAMPLES):
        other = told(np.sort(rng.integers(0, len(fields), len(fields))))
        for before, after in zip(usual, other, strict=True):
            first.append(before[:1] != after[:1])
            whole.append(set(before) != set(after))
    return Stability(
        background_rows=count,
        refused=len(refused),
        resamples=RESAMPLES,
        first_reason=float(np.mean(first)),
        principal_reasons=float(np.mean(whole)),
    )


def _principal(explainer: Explainer, application: Application) -> list[str]:
    """Return the fields of a refusal's principal reasons, the weightiest first."""
    reasons = explainer.explain(application, granted=False).reasons
    return [reason.field for reason in reasons if reason.principal]
