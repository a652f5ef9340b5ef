"""Estimates how well a model does before any outcome is known.

A calibrated probability says how often its decision is right, so the expected share of bad loans is
the mean of 1 − probability, and likewise for other figures (confidence-based performance
estimation, CBPE). That holds as long as the probabilities are calibrated for the applications that
arrive. Where these have moved, the training rows are weighted so that they resemble them, and the
probabilities are calibrated anew on the weighted rows (M-CBPE: Białek et al. 2024, "Estimating
Model Performance Under Covariate Shift Without Labels", arXiv 2401.08348). Both assume that equal
applications are as often good as in the training data; only outcomes can show that they are not.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ml.evaluation.reports import Estimate
from ml.monitoring.logistic import fit_line, fit_logistic, log_odds, sigmoid
from ml.monitoring.realised import roc_auc
from ml.monitoring.rows import TrainingRows

REPEATS = 200  # of the bootstrap; enough for the ends of a 95 % interval to two digits
TAILS = (0.025, 0.975)  # 95 %, by convention
MIN_GRANTED = 30  # decisions; with fewer, the interval says nothing. Our own choice
# Below this effective number of training rows (Kish 1965, "Survey Sampling"), the applications are
# so unlike them that the estimate rests on a few rows. Our own choice.
MIN_EFFECTIVE = 100
MAX_COLUMN = 5.0  # standard deviations, so that one application does not decide on a weight
MAX_LOG_WEIGHT = 30.0  # far beyond any that counts, but no overflow
PENALTY = 1.0  # of the regression that finds the weights; scikit-learn's default
CALIBRATION_STEPS = 8


@dataclass(frozen=True)
class Decided:
    """Decisions whose performance is estimated.

    Attributes
    ----------
    probability : ndarray of shape (n_decisions,)
        Of being good.
    granted : ndarray of shape (n_decisions,)
        Of bool: what the model said.
    matrix : ndarray of shape (n_rows, n_columns)
        The applications, or a random part of them, in the columns of the model.
    of_matrix : ndarray of shape (n_rows,)
        The probabilities of the applications in `matrix`.
    """

    probability: np.ndarray
    granted: np.ndarray
    matrix: np.ndarray
    of_matrix: np.ndarray


@dataclass(frozen=True)
class Figures:
    """The figures that are estimated.

    Attributes
    ----------
    bad_share, brier, roc_auc : float
        Of the granted loans: the share of bad ones, the Brier score and the area under the ROC
        curve. Outcomes will show them.
    accuracy : float
        The share of right decisions: good loans granted, and bad ones refused.
    cost : float
        The mean cost of a decision, where a refused good loan costs 1.
    """

    bad_share: float
    brier: float
    roc_auc: float
    accuracy: float
    cost: float


NAMES = tuple(Figures.__dataclass_fields__)


@dataclass(frozen=True)
class Estimated:
    """Estimates of figures.

    Attributes
    ----------
    decisions : int
    effective : float
        The number of training rows that the weighted ones are worth.
    plain : Figures
        From the probabilities as they are.
    estimates : dict of str to Estimate
        By the name of the figure: from the probabilities as they are calibrated for these
        applications. The interval is a 95 % one of what the outcomes will show.
    """

    decisions: int
    effective: float
    plain: Figures
    estimates: dict[str, Estimate]

    @property
    def trustworthy(self) -> bool:
        """Whether the training rows resemble the applications enough."""
        return self.effective >= MIN_EFFECTIVE


def estimate(
    decided: Decided, training: TrainingRows, *, cost_ratio: float, seed: int
) -> Estimated | None:
    """Estimate the performance of decisions whose outcomes are not known.

    Parameters
    ----------
    decided : Decided
    training : TrainingRows
    cost_ratio : float
        The cost of granting a bad loan, divided by the cost of refusing a good one.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Estimated or None
        None for fewer than `MIN_GRANTED` granted or analysed applications.
    """
    if decided.granted.sum() < MIN_GRANTED or len(decided.matrix) < MIN_GRANTED:
        return None
    shift = _Shift(decided, training)
    probability = shift.calibrated()
    random = np.random.default_rng(seed)

    def computed(good: np.ndarray) -> Figures:
        return figures_of(decided.probability, good, granted=decided.granted, cost_ratio=cost_ratio)

    repeated = [list(vars(computed(drawn)).values()) for drawn in _outcomes(shift, random)]
    value = computed(probability)
    low, high = np.quantile(repeated, TAILS, axis=0).tolist()
    return Estimated(
        decisions=len(decided.probability),
        effective=shift.effective,
        plain=computed(decided.probability),
        estimates={
            name: Estimate(value=v, low=min(lo, v), high=max(hi, v))
            for (name, v), lo, hi in zip(vars(value).items(), low, high, strict=True)
        },
    )


def _outcomes(shift: "_Shift", random: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield outcomes as they may be: by a bootstrap of the rows, and then by chance.

    The weights are refitted by one step of Newton's method from those of all rows, which is as
    exact as the bootstrap itself (Davidson and MacKinnon 1999, "Bootstrap testing in nonlinear
    models").
    """
    for _ in range(REPEATS):
        counts = [random.multinomial(n, np.full(n, 1 / n)).astype(float) for n in shift.sizes]
        probability = shift.calibrated(*counts)
        yield (random.random(len(probability)) < probability).astype(float)


class _Shift:
    """How the applications differ from the training rows, as a regression that tells them apart.

    The labels of the training rows belong to the probabilities before any correction by outcomes,
    so that correction is undone first, and done again at the end.
    """

    def __init__(self, decided: Decided, training: TrainingRows) -> None:
        self._line = training.line
        of_training, of_decisions, of_matrix = (
            training.line.undone(log_odds(p))
            for p in (training.probability, decided.probability, decided.of_matrix)
        )
        rows = _columns(training.matrix, of_training)
        mean, spread = rows.mean(axis=0), rows.std(axis=0)
        spread[spread == 0] = 1.0
        both = [rows, _columns(decided.matrix, of_matrix)]
        self.sizes = [len(part) for part in both]
        scaled = np.clip((np.concatenate(both) - mean) / spread, -MAX_COLUMN, MAX_COLUMN)
        self._matrix = np.column_stack([np.ones(len(scaled)), scaled])
        self._arrived = np.repeat([0.0, 1.0], self.sizes)
        self._penalty = np.full(self._matrix.shape[1], PENALTY)
        self._penalty[0] = 0.0
        self._good = training.good.astype(float)
        self._odds, self._of_decisions = of_training, of_decisions
        self._first = self._told_apart(np.ones(len(self._arrived)), None)

    @property
    def effective(self) -> float:
        """The number of training rows that the weighted ones are worth.

        If they overlap with the applications, their weights sum up to the number of these. Where
        they hardly do, the sum is smaller, and equal weights mean nothing.
        """
        weights = self._weights(self._first)
        overlap = min(1.0, float(weights.sum()) / self.sizes[1])
        return overlap * float(weights.sum() ** 2 / (weights**2).sum())

    def calibrated(
        self, of_training: np.ndarray | None = None, of_decided: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the probabilities of the decisions, calibrated on the weighted training rows.

        Rows count as often as stated, or else once.
        """
        counts, coefficients = np.ones(self.sizes[0]), self._first
        if of_training is not None and of_decided is not None:
            counts = of_training
            coefficients = self._told_apart(
                np.concatenate([of_training, of_decided]), coefficients, steps=1
            )
        weights = counts * self._weights(coefficients)
        anew = fit_line(
            self._odds,
            self._good,
            weights=weights * (counts.sum() / weights.sum()),
            steps=CALIBRATION_STEPS,
        )
        return sigmoid(self._line.of(anew.of(self._of_decisions)))

    def _weights(self, coefficients: np.ndarray) -> np.ndarray:
        """Return how many applications there are for each training row, as the regression says."""
        odds = self._matrix[: self.sizes[0]] @ coefficients
        weights: np.ndarray = np.exp(np.clip(odds, -MAX_LOG_WEIGHT, MAX_LOG_WEIGHT))
        return weights

    def _told_apart(self, counts: np.ndarray, start: np.ndarray | None, **steps: int) -> np.ndarray:
        return fit_logistic(
            self._matrix,
            self._arrived,
            weights=counts,
            penalty=self._penalty,
            start=np.zeros(self._matrix.shape[1]) if start is None else start,
            **steps,
        )


def _columns(matrix: np.ndarray, odds: np.ndarray) -> np.ndarray:
    """Return the columns that tell applications apart: those of the model, squares, the score."""
    return np.column_stack([matrix, matrix**2, odds])


def figures_of(
    probability: np.ndarray, good: np.ndarray, *, granted: np.ndarray, cost_ratio: float
) -> Figures:
    """Compute the figures of decisions.

    Parameters
    ----------
    probability : ndarray of shape (n_decisions,)
        Of being good, as the model stated it.
    good : ndarray of shape (n_decisions,)
        1 for good and 0 for bad; for the expected figures, how probable it is.
    granted : ndarray of shape (n_decisions,)
        Of bool; at least one.
    cost_ratio : float
        The cost of granting a bad loan, divided by the cost of refusing a good one.

    Returns
    -------
    Figures
    """
    bad, stated = 1 - good[granted], probability[granted]
    squares = (1 - bad) * (1 - stated) ** 2 + bad * stated**2
    area = roc_auc(stated, good[granted])
    return Figures(
        bad_share=float(bad.mean()),
        brier=float(squares.mean()),
        roc_auc=0.5 if area is None else area,  # there is nothing to rank
        accuracy=float(np.where(granted, good, 1 - good).mean()),
        cost=float(np.where(granted, cost_ratio * (1 - good), good).mean()),
    )
