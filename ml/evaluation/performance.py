"""How good probabilities and the decisions that follow from them are, in figures and curves."""

import math
from typing import Any

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

METRICS = ("accuracy", "balanced_accuracy", "roc_auc", "pr_auc_refused", "brier")
BINS = 10  # of equal counts, as in Hosmer and Lemeshow 1980
STEPS = 20  # thresholds are tabled at every twentieth
POINTS = 200  # of a drawn curve: as many as its plot is pixels wide, or nearly
TOLERANCE = 0.0005  # how far a curve may leave its points, first: an eighth of a pixel


def threshold_for(cost_ratio: float) -> float:
    """Return the least probability of being good at which granting costs no more than refusing.

    Parameters
    ----------
    cost_ratio : float
        What a bad loan granted costs, over what a good loan refused costs.

    Returns
    -------
    float
        r / (1 + r): grant when p·1 ≥ (1 − p)·r (Elkan 2001, "The foundations of cost-sensitive
        learning").
    """
    return cost_ratio / (1 + cost_ratio)


def figures(good: np.ndarray, probability: np.ndarray, *, threshold: float) -> dict[str, float]:
    """Return how well probabilities and the decisions that follow from them agree with the truth.

    Parameters
    ----------
    good : ndarray of shape (n_samples,)
        1 for good, 0 for bad.
    probability : ndarray of shape (n_samples,)
        Of being good.
    threshold : float
        From which on a loan is granted.

    Returns
    -------
    dict of str to float
        One figure for each of `METRICS`.
    """
    granted = probability >= threshold
    return {
        "accuracy": float(accuracy_score(good, granted)),
        "balanced_accuracy": float(balanced_accuracy_score(good, granted)),
        "roc_auc": float(roc_auc_score(good, probability)),
        "pr_auc_refused": float(average_precision_score(1 - good, 1 - probability)),
        "brier": float(brier_score_loss(good, probability)),
    }


def compare(good: np.ndarray, probability: np.ndarray, *, threshold: float) -> dict[str, Any]:
    """Compare decisions with known answers, of which all may be good or all bad.

    Parameters
    ----------
    good : ndarray of shape (n_samples,)
        1 for good, 0 for bad.
    probability : ndarray of shape (n_samples,)
        Of being good.
    threshold : float
        From which on a loan is granted.

    Returns
    -------
    dict of str to float, int or None
        ``n``, ``accuracy``, ``balanced_accuracy``, ``roc_auc``, ``brier``, ``recall_refused`` (of
        the bad rows, the share refused), ``grant_rate`` and ``threshold``. None where a figure
        needs good and bad rows and there are not both.
    """
    granted = probability >= threshold
    bad = good == 0
    both = 0 < bad.sum() < len(bad)
    found = figures(good, probability, threshold=threshold) if both else {}
    return {
        "n": len(good),
        "accuracy": float(np.mean(granted == (good == 1))),
        "balanced_accuracy": found.get("balanced_accuracy"),
        "roc_auc": found.get("roc_auc"),
        "brier": float(np.mean((probability - good) ** 2)),
        "recall_refused": float(np.mean(~granted[bad])) if bad.any() else None,
        "grant_rate": float(granted.mean()),
        "threshold": threshold,
    }


def evidence(
    *, good: np.ndarray, probability: np.ndarray, threshold: float, cost_ratio: float
) -> dict[str, Any]:
    """Return what speaks for and against a model, from rows that it had not seen.

    Parameters
    ----------
    good : ndarray of shape (n_samples,)
        1 for good, 0 for bad; both occur.
    probability : ndarray of shape (n_samples,)
        Of being good, each by a model that was not fitted on the row.
    threshold : float
        From which on a loan is granted.
    cost_ratio : float
        What a bad loan granted costs, over what a good loan refused costs.

    Returns
    -------
    dict of str to object
        Ready for JSON. ``figures``: those of `METRICS`, ``n`` and ``n_good``. ``calibration``: the
        ``bins`` by rising probability, and their ``expected_error``. ``roc``: the share of the
        good that is granted over the share of the bad that is. ``precision_recall``: for finding
        the bad: the share of the refused that is bad over the share of the bad that is refused.
        ``thresholds``: what each would grant and lose. ``threshold`` and ``cost_ratio``.
    """
    used = _decided(good, probability, threshold=threshold, cost_ratio=cost_ratio)
    found = figures(good, probability, threshold=threshold)
    return {
        "figures": {**found, "n": len(good), "n_good": int(good.sum())},
        "calibration": _calibration(good, probability),
        "roc": _roc(good, probability, used),
        "precision_recall": _precision_recall(good, probability, used),
        "thresholds": _thresholds(good, probability, threshold=threshold, cost_ratio=cost_ratio),
        "threshold": threshold,
        "cost_ratio": cost_ratio,
    }


def _calibration(good: np.ndarray, probability: np.ndarray) -> dict[str, Any]:
    rising = np.argsort(probability, kind="stable")
    bins = []
    for rows in np.array_split(rising, min(BINS, len(good))):
        n, n_good = len(rows), int(good[rows].sum())
        # Wilson's interval (1927) never leaves 0 to 1.
        interval = binomtest(n_good, n).proportion_ci(confidence_level=0.95, method="wilson")
        bins.append(
            {
                "n": n,
                "expected": float(probability[rows].mean()),
                "observed": n_good / n,
                "low": float(interval.low),
                "high": float(interval.high),
            }
        )
    apart = sum(b["n"] * abs(b["expected"] - b["observed"]) for b in bins)
    return {"bins": bins, "expected_error": apart / len(good)}


def _roc(good: np.ndarray, probability: np.ndarray, used: dict[str, Any]) -> dict[str, Any]:
    bad_granted, good_granted, _ = roc_curve(good, probability)
    n_good = int(good.sum())
    return {
        "points": _thinned(np.column_stack([bad_granted, good_granted])),
        "at_threshold": [
            used["bad_granted"] / (len(good) - n_good),
            1 - used["good_refused"] / n_good,
        ],
    }


def _precision_recall(
    good: np.ndarray, probability: np.ndarray, used: dict[str, Any]
) -> dict[str, Any]:
    precision, recall, _ = precision_recall_curve(1 - good, 1 - probability)
    n_bad = int(len(good) - good.sum())
    refused, bad_refused = len(good) - used["granted"], n_bad - used["bad_granted"]
    return {
        # The last point is scikit-learn's own: who refuses nobody has no precision.
        "points": _thinned(np.column_stack([recall, precision])[-2::-1]),
        "at_threshold": [bad_refused / n_bad, bad_refused / refused] if refused else None,
        "base_rate": n_bad / len(good),
    }


def _thresholds(
    good: np.ndarray, probability: np.ndarray, *, threshold: float, cost_ratio: float
) -> list[dict[str, Any]]:
    steps = [step / STEPS for step in range(1, STEPS)]
    others = [step for step in steps if not math.isclose(step, threshold)]
    return [
        _decided(good, probability, threshold=t, cost_ratio=cost_ratio) | {"used": t == threshold}
        for t in sorted([*others, threshold])
    ]


def _decided(
    good: np.ndarray, probability: np.ndarray, *, threshold: float, cost_ratio: float
) -> dict[str, Any]:
    """Count what a threshold grants and loses; costs are in good loans lost."""
    grants = probability >= threshold
    granted, bad_granted = int(grants.sum()), int((grants & (good == 0)).sum())
    good_refused = int((~grants & (good == 1)).sum())
    cost = cost_ratio * bad_granted + good_refused
    return {
        "threshold": threshold,
        "grant_rate": granted / len(good),
        "granted": granted,
        "bad_granted": bad_granted,
        "bad_rate": bad_granted / granted if granted else None,
        "good_refused": good_refused,
        "cost": cost,
        "cost_per_1000": 1000 * cost / len(good),
    }


def _thinned(points: np.ndarray) -> list[list[float]]:
    """Return at most `POINTS` of a curve's points that draw it as all of them would."""
    tolerance = TOLERANCE
    kept = _outline(points, tolerance)
    while len(kept) > POINTS:
        tolerance *= 1.5
        kept = _outline(points, tolerance)
    return points[kept].round(6).tolist()  # type: ignore[no-any-return]  # NumPy's lists are Any


def _outline(points: np.ndarray, tolerance: float) -> list[int]:
    """Return which points leave no other farther from the line than that (Ramer 1972)."""
    kept, parts = {0, len(points) - 1}, [(0, len(points) - 1)]
    while parts:
        first, last = parts.pop()
        if last - first < 2:
            continue
        chord = points[last] - points[first]
        offsets = points[first + 1 : last] - points[first]
        along = np.clip(offsets @ chord / (chord @ chord or 1.0), 0, 1)
        distances = np.hypot(*(offsets - along[:, None] * chord).T)
        if distances.max() > tolerance:
            middle = first + 1 + int(distances.argmax())
            kept.add(middle)
            parts += [(first, middle), (middle, last)]
    return sorted(kept)
