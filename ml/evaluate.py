"""How well a bundle decides on rows with a known answer."""

from pathlib import Path

import numpy as np

from ml.bundle import Bundle
from ml.evidence import figures
from ml.rows import read_rows


def evaluate(bundle: Bundle, file: Path) -> dict[str, float | int | None]:
    """Decide every row of a CSV file and compare with its target.

    Parameters
    ----------
    bundle : Bundle
    file : Path
        With the product's fields and its target.

    Returns
    -------
    dict of str to float, int or None
        ``n``, ``accuracy``, ``balanced_accuracy``, ``roc_auc``, ``brier``, ``recall_refused`` (of
        the bad rows, the share refused), ``grant_rate`` and ``threshold``. None where a figure
        needs good and bad rows and the file has not both.

    Raises
    ------
    InvalidData
        The file cannot be used.
    """
    fields, good = read_rows(bundle.product, file)
    probability = bundle.scorer.score_many(fields)
    granted = probability >= bundle.threshold
    bad = good == 0
    both = 0 < bad.sum() < len(bad)
    found = figures(good, probability, threshold=bundle.threshold) if both else {}
    return {
        "n": len(good),
        "accuracy": float(np.mean(granted == (good == 1))),
        "balanced_accuracy": found.get("balanced_accuracy"),
        "roc_auc": found.get("roc_auc"),
        "brier": float(np.mean((probability - good) ** 2)),
        "recall_refused": float(np.mean(~granted[bad])) if bad.any() else None,
        "grant_rate": float(granted.mean()),
        "threshold": bundle.threshold,
    }
