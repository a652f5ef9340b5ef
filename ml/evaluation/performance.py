"""How good probabilities and the decisions that follow from them are, in figures and curves."""

import math

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    log_loss,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from ml.evaluation.intervals import wilson
from ml.evaluation.reports import (
    Calibration,
    CalibrationBin,
    Comparison,
    CountedFigures,
    Evidence,
    Figures,
    Point,
    PrecisionRecall,
    Roc,
    ThresholdRow,
)

METRICS = tuple(Figures.model_fields)
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


def figures(
    good: np.ndarray, probability: np.ndarray, *, threshold: float, cost_ratio: float
) -> Figures:
    """Return how well probabilities and the decisions that follow from them agree with the truth.

    Parameters
    ----------
    good : ndarray of shape (n_samples,)
        1 for good, 0 for bad.
    probability : ndarray of shape (n_samples,)
        Of being good.
    threshold : float
        From which on a loan is granted.
    cost_ratio : float
        What a bad loan granted costs, over what a good loan refused costs.

    Returns
    -------
    Figures
    """
    granted = probability >= threshold
    return Figures(
        expected_cost=_expected_cost(good, granted, cost_ratio),
        log_loss=float(log_loss(good, probability, labels=[0, 1])),
        accuracy=float(accuracy_score(good, granted)),
        balanced_accuracy=float(balanced_accuracy_score(good, granted)),
        roc_auc=float(roc_auc_score(good, probability)),
        pr_auc_refused=float(average_precision_score(1 - good, 1 - probability)),
        brier=float(brier_score_loss(good, probability)),
    )


def _expected_cost(good: np.ndarray, granted: np.ndarray, cost_ratio: float) -> float:
    bad_granted, good_refused = granted & (good == 0), ~granted & (good == 1)
    return float(np.mean(cost_ratio * bad_granted + good_refused))


def compare(
    good: np.ndarray, probability: np.ndarray, *, threshold: float, cost_ratio: float
) -> Comparison:
    """Compare decisions with known answers, of which all may be good or all bad.

    Parameters
    ----------
    good : ndarray of shape (n_samples,)
        1 for good, 0 for bad.
    probability : ndarray of shape (n_samples,)
        Of being good.
    threshold : float
        From which on a loan is granted.
    cost_ratio : float
        What a bad loan granted costs, over what a good loan refused costs.

    Returns
    -------
    Comparison
        None where a figure needs good and bad rows and there are not both.
    """
    granted = probability >= threshold
    bad = good == 0
    both = 0 < bad.sum() < len(bad)
    measured = None
    if both:
        measured = figures(good, probability, threshold=threshold, cost_ratio=cost_ratio)
    return Comparison(
        n=len(good),
        expected_cost=_expected_cost(good, granted, cost_ratio),
        log_loss=float(log_loss(good, probability, labels=[0, 1])),
        accuracy=float(np.mean(granted == (good == 1))),
        balanced_accuracy=measured.balanced_accuracy if measured else None,
        roc_auc=measured.roc_auc if measured else None,
        brier=float(np.mean((probability - good) ** 2)),
        recall_refused=float(np.mean(~granted[bad])) if bad.any() else None,
        grant_rate=float(granted.mean()),
        threshold=threshold,
    )


def evidence(
    *, good: np.ndarray, probability: np.ndarray, threshold: float, cost_ratio: float
) -> Evidence:
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
    Evidence
    """
    used = _decided(good, probability, threshold=threshold, cost_ratio=cost_ratio, used=True)
    measured = figures(good, probability, threshold=threshold, cost_ratio=cost_ratio)
    return Evidence(
        figures=CountedFigures(**dict(measured), n=len(good), n_good=int(good.sum())),
        calibration=_calibration(good, probability),
        roc=_roc(good, probability, used),
        precision_recall=_precision_recall(good, probability, used),
        thresholds=_thresholds(good, probability, used, cost_ratio=cost_ratio),
        threshold=threshold,
        cost_ratio=cost_ratio,
    )


def _calibration(good: np.ndarray, probability: np.ndarray) -> Calibration:
    rising = np.argsort(probability, kind="stable")
    bins = []
    for rows in np.array_split(rising, min(BINS, len(good))):
        n, n_good = len(rows), int(good[rows].sum())
        low, high = wilson(n_good, total=n)
        bins.append(
            CalibrationBin(
                n=n,
                expected=float(probability[rows].mean()),
                observed=n_good / n,
                low=low,
                high=high,
            )
        )
    apart = sum(b.n * abs(b.expected - b.observed) for b in bins)
    return Calibration(bins=tuple(bins), expected_error=apart / len(good))


def _roc(good: np.ndarray, probability: np.ndarray, used: ThresholdRow) -> Roc:
    bad_granted, good_granted, _ = roc_curve(good, probability)
    n_good = int(good.sum())
    return Roc(
        points=_thinned(np.column_stack([bad_granted, good_granted])),
        at_threshold=(
            used.bad_granted / (len(good) - n_good),
            1 - used.good_refused / n_good,
        ),
    )


def _precision_recall(
    good: np.ndarray, probability: np.ndarray, used: ThresholdRow
) -> PrecisionRecall:
    precision, recall, _ = precision_recall_curve(1 - good, 1 - probability)
    n_bad = int(len(good) - good.sum())
    refused, bad_refused = len(good) - used.granted, n_bad - used.bad_granted
    return PrecisionRecall(
        # The last point is scikit-learn's own: who refuses nobody has no precision.
        points=_thinned(np.column_stack([recall, precision])[-2::-1]),
        at_threshold=(bad_refused / n_bad, bad_refused / refused) if refused else None,
        base_rate=n_bad / len(good),
    )


def _thresholds(
    good: np.ndarray, probability: np.ndarray, used: ThresholdRow, *, cost_ratio: float
) -> tuple[ThresholdRow, ...]:
    steps = [step / STEPS for step in range(1, STEPS)]
    others = [
        _decided(good, probability, threshold=step, cost_ratio=cost_ratio, used=False)
        for step in steps
        if not math.isclose(step, used.threshold)
    ]
    return tuple(sorted([*others, used], key=lambda row: row.threshold))


def _decided(
    good: np.ndarray, probability: np.ndarray, *, threshold: float, cost_ratio: float, used: bool
) -> ThresholdRow:
    """Count what a threshold grants and loses."""
    grants = probability >= threshold
    granted, bad_granted = int(grants.sum()), int((grants & (good == 0)).sum())
    good_refused = int((~grants & (good == 1)).sum())
    cost = cost_ratio * bad_granted + good_refused
    return ThresholdRow(
        threshold=threshold,
        grant_rate=granted / len(good),
        granted=granted,
        bad_granted=bad_granted,
        bad_rate=bad_granted / granted if granted else None,
        good_refused=good_refused,
        cost=cost,
        cost_per_1000=1000 * cost / len(good),
        used=used,
    )


def _thinned(points: np.ndarray) -> tuple[Point, ...]:
    """Return at most `POINTS` of a curve's points that draw it as all of them would."""
    tolerance = TOLERANCE
    kept = _outline(points, tolerance)
    while len(kept) > POINTS:
        tolerance *= 1.5
        kept = _outline(points, tolerance)
    return tuple((x, y) for x, y in points[kept].round(6).tolist())


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
