"""Logistic regression by Newton's method, for the few columns that the watch needs."""

from typing import NamedTuple

import numpy as np

HALVINGS = 30  # of a step
STEPS = 25  # Newton's method needs fewer than ten, but for separable data
PRECISE = 1e-8  # of the largest change in a step, when it is finished
# Keeps the matrix of second derivatives regular where a column is constant. Far below any penalty.
JITTER = 1e-9
# Of the slope of a line: hardly any, but it stays finite if a limit separates good rows from bad.
SLOPE_PENALTY = 1e-3
CLIP = 1e-6  # probabilities are kept this far from 0 and 1, where one outcome would prove all


class Line(NamedTuple):
    """A correction of probabilities: their log-odds times a slope, plus a shift."""

    shift: float = 0.0
    slope: float = 1.0

    def of(self, odds: np.ndarray) -> np.ndarray:
        """Return corrected log-odds.

        Parameters
        ----------
        odds : ndarray

        Returns
        -------
        ndarray
            Of the same shape.
        """
        return self.shift + self.slope * odds

    def undone(self, odds: np.ndarray) -> np.ndarray:
        """Return the log-odds that were corrected, as `of` is undone.

        Parameters
        ----------
        odds : ndarray

        Returns
        -------
        ndarray
            Of the same shape.
        """
        return (odds - self.shift) / self.slope

    def after(self, first: "Line") -> "Line":
        """Return the correction that does another one first, and then this one.

        Parameters
        ----------
        first : Line

        Returns
        -------
        Line
        """
        return Line(self.shift + self.slope * first.shift, self.slope * first.slope)


UNCHANGED = Line()


def sigmoid(odds: np.ndarray) -> np.ndarray:
    """Return the probabilities of log-odds, without overflow.

    Parameters
    ----------
    odds : ndarray

    Returns
    -------
    ndarray
        Of the same shape.
    """
    inverse = np.exp(-np.abs(odds))
    probability: np.ndarray = np.where(odds > 0, 1.0, inverse) / (1 + inverse)
    return probability


def log_odds(probability: np.ndarray) -> np.ndarray:
    """Return the log-odds of probabilities.

    Parameters
    ----------
    probability : ndarray
        Between 0 and 1; they are kept `CLIP` away from both.

    Returns
    -------
    ndarray
        Of the same shape.
    """
    p = np.clip(probability, CLIP, 1 - CLIP)
    odds: np.ndarray = np.log(p / (1 - p))
    return odds


def fit_logistic(
    matrix: np.ndarray,
    good: np.ndarray,
    *,
    weights: np.ndarray,
    penalty: np.ndarray,
    start: np.ndarray,
    offset: np.ndarray | float = 0.0,
    steps: int = STEPS,
) -> np.ndarray:
    """Fit coefficients so that the sigmoid of ``matrix @ coefficients`` predicts what is good.

    Parameters
    ----------
    matrix : ndarray of shape (n_samples, n_columns)
    good : ndarray of shape (n_samples,)
        0 or 1.
    weights : ndarray of shape (n_samples,)
        How many times each row counts.
    penalty : ndarray of shape (n_columns,)
        Times half the square of each coefficient, it is added to the negative log-likelihood.
    start : ndarray of shape (n_columns,)
        The coefficients to begin with.
    offset : ndarray of shape (n_samples,)
        Log-odds that are added to those of the matrix.
    steps : int
        The largest number of steps.

    Returns
    -------
    ndarray of shape (n_columns,)
    """

    def loss(coefficients: np.ndarray) -> float:
        odds = offset + matrix @ coefficients
        likelihood = weights @ (np.logaddexp(0, odds) - good * odds)
        return float(likelihood + penalty @ coefficients**2 / 2)

    coefficients = start.astype(float)
    reached = loss(coefficients)
    for _ in range(steps):
        predicted = sigmoid(offset + matrix @ coefficients)
        gradient = matrix.T @ (weights * (good - predicted)) - penalty * coefficients
        spread = weights * predicted * (1 - predicted)
        curvature = (matrix * spread[:, None]).T @ matrix + np.diag(penalty + JITTER)
        change = np.linalg.solve(curvature, gradient)
        for _ in range(HALVINGS):  # far from the minimum, a whole step can lead away from it
            following = loss(coefficients + change)
            if following <= reached:
                break
            change = change / 2
        else:
            break
        coefficients, reached = coefficients + change, following
        if np.abs(change).max() < PRECISE:
            break
    return coefficients


def fit_line(
    odds: np.ndarray, good: np.ndarray, *, weights: np.ndarray | None = None, steps: int = STEPS
) -> Line:
    """Fit the correction of log-odds by which they predict best what is good.

    Parameters
    ----------
    odds : ndarray of shape (n_samples,)
    good : ndarray of shape (n_samples,)
        0 or 1.
    weights : ndarray of shape (n_samples,), optional
        How many times each row counts. Default: once.
    steps : int
        The largest number of steps.

    Returns
    -------
    Line
    """
    shift, slope = fit_logistic(
        np.column_stack([np.ones(len(odds)), odds]),
        good,
        weights=np.ones(len(odds)) if weights is None else weights,
        penalty=np.array([0.0, SLOPE_PENALTY]),
        start=np.array(UNCHANGED),
        steps=steps,
    ).tolist()
    return Line(shift, slope)
