"""A linear classifier on B-splines, whose curves keep to the directions of the product."""

import warnings
from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from scipy.optimize import lsq_linear
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning

from ml.product.quantities import Direction

Loss = Literal["squared_hinge", "log"]
MAX_NEWTON_STEPS = 100  # measured on the shipped rows: 5 to 7
# Iteration ends if the gradient predicts a smaller decrease, as a share of the objective. Our own
# choice: near the precision of float64.
TOLERANCE = 1e-12
# The decrease that a step must achieve, as a share of the decrease that the gradient predicts
# (Armijo 1966; the value is from Nocedal and Wright 2006, "Numerical optimization", section 3.1).
DECREASE = 1e-4
# Makes the Hessian invertible if no row has a loss, when nothing determines the intercept.
RIDGE = 1e-10


class MonotoneLinear(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # untyped
    """A linear SVC or logistic regression that keeps to stated directions.

    Parameters
    ----------
    loss : {"squared_hinge", "log"}
    C : float
        The weight of the loss against half the squared length of the coefficients.
    directions : sequence of {"up", "down", None}
        For each number, whether its curve may only rise or only fall; None for no restriction.
    others : int
        The number of columns after the splines of the numbers.
    absent : sequence of (int, int)
        For each number that may be missing, its index among the numbers, and the index of its
        indicator among the columns after the splines.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
    coef_ : ndarray of shape (1, n_columns)
    intercept_ : ndarray of shape (1,)
        Not penalised.

    Notes
    -----
    A sum of B-splines does not decrease if the sequence of their coefficients does not (de Boor
    1978, "A practical guide to splines"). The coefficients of a curve are therefore written as
    cumulative sums of steps, and the steps are bounded by 0.

    If a number has a direction and is missing in some training row, a missing value contributes no
    more to the margin than the worst value. If it is missing in no training row, its indicator has
    the weight 0, and a missing value contributes what its substitute, the median, does.

    `ml.training.candidates.preparation` omits the last spline of each number. It is added again
    for the fit, because without it the penalty draws a curve towards its value at the largest
    number, which costs a monotone curve the most (docs/adr/0016). The coefficients are then
    converted to those without the last spline.

    Each step of Newton's method solves its quadratic problem within the bounds exactly. The result
    is then the same on every processor except for the last digits.
    """

    def __init__(
        self,
        loss: Loss = "squared_hinge",
        C: float = 1.0,  # noqa: N803 - scikit-learn's name
        directions: Sequence[Direction | None] = (),
        others: int = 0,
        absent: Sequence[tuple[int, int]] = (),
    ) -> None:
        self.loss = loss
        self.C = C
        self.directions = directions
        self.others = others
        self.absent = absent

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:  # noqa: N803 - scikit-learn's name
        """Fit the coefficients; warn if they have not converged.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_columns)
            The splines of the numbers, then the other columns.
        y : ndarray of shape (n_samples,)
            Labels of two classes.

        Returns
        -------
        MonotoneLinear
        """
        self.classes_ = np.unique(y)
        whole = self._whole(X.shape[1])
        columns = np.column_stack([X, np.ones(len(X))]) @ whole.T
        sums, bounded = self._sums(columns)
        sides = np.where(y == self.classes_[1], 1.0, -1.0)
        penalised = sums[:-1]  # all but the intercept
        steps = self._minimise((columns @ sums) * sides[:, None], penalised.T @ penalised, bounded)
        coefficients = whole.T @ (sums @ steps)
        self.coef_, self.intercept_ = coefficients[None, :-1], coefficients[-1:]
        return self

    def decision_function(self, X: np.ndarray) -> np.ndarray:  # noqa: N803 - scikit-learn's name
        """Return the margins.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_columns)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        margins: np.ndarray = X @ self.coef_[0] + self.intercept_[0]
        return margins

    def predict(self, X: np.ndarray) -> np.ndarray:  # noqa: N803 - scikit-learn's name
        """Return the predicted classes: the second class if the margin is above 0.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_columns)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        predicted: np.ndarray = self.classes_[(self.decision_function(X) > 0).astype(int)]
        return predicted

    def _whole(self, columns: int) -> np.ndarray:
        """Return the matrix that adds the last spline of each number: 1 minus the others."""
        numbers = len(self.directions)
        count = (columns - self.others) // max(numbers, 1)
        rows = []
        for i in range(numbers):
            part = np.arange(i * count, (i + 1) * count)
            last = np.zeros(columns + 1)
            last[part], last[-1] = -1.0, 1.0
            rows += [*np.eye(columns + 1)[part], last]
        return np.array([*rows, *np.eye(columns + 1)[numbers * count :]])

    def _sums(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the matrix from steps to coefficients, and which steps are bounded by 0."""
        width = columns.shape[1]
        sums, bounded = np.eye(width), np.zeros(width, dtype=bool)
        count = (width - 1 - self.others) // max(len(self.directions), 1)
        for i, direction in enumerate(self.directions):
            if direction:
                part = slice(i * count, (i + 1) * count)
                sums[part, part] = np.tril(np.ones((count, count)))
                sums[part, part][:, 1:] *= 1 if direction == "up" else -1
                bounded[part] = np.arange(count) > 0
        for i, place in self.absent:
            at = width - 1 - self.others + place
            missing = np.flatnonzero(columns[:, at])
            if self.directions[i] and missing.size:
                # The substitute of a missing value and its indicator contribute together what the
                # worst value does, minus a step.
                part = slice(i * count, (i + 1) * count)
                substitute = columns[missing[0], part]
                worst = part.start if self.directions[i] == "up" else part.stop - 1
                sums[at] = sums[worst] - substitute @ sums[part]
                sums[at, at], bounded[at] = -1.0, True
        return sums, bounded

    def _minimise(self, rows: np.ndarray, penalty: np.ndarray, bounded: np.ndarray) -> np.ndarray:
        least = np.where(bounded, 0.0, -np.inf)
        steps = np.zeros(rows.shape[1])
        value, slopes, bends = self._loss(rows @ steps)
        for _ in range(MAX_NEWTON_STEPS):
            gradient = rows.T @ slopes + penalty @ steps
            hessian = (rows.T * bends) @ rows + penalty + RIDGE * np.eye(len(steps))
            # The quadratic problem within the bounds, written as least squares.
            root = np.linalg.cholesky(hessian)
            goal = np.linalg.solve(root, hessian @ steps - gradient)
            move = lsq_linear(root.T, goal, (least, np.inf), method="bvls").x - steps
            here, size = value + steps @ penalty @ steps / 2, 1.0
            if -gradient @ move <= TOLERANCE * here:
                steps = steps + move
                break
            while size > TOLERANCE:
                there = steps + size * move
                value, slopes, bends = self._loss(rows @ there)
                if here - value - there @ penalty @ there / 2 >= -DECREASE * size * gradient @ move:
                    break
                size /= 2
            steps = there
        else:
            warnings.warn("the coefficients did not converge", ConvergenceWarning, stacklevel=3)
        return steps

    def _loss(self, margins: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return the loss, and its first and second derivatives by the margin of each row."""
        if self.loss == "log":
            wrong = np.exp(-np.logaddexp(0.0, margins))  # the probability of the other class
            value = np.logaddexp(0.0, -margins).sum()
            return self.C * float(value), -self.C * wrong, self.C * wrong * (1 - wrong)
        short = np.maximum(1.0 - margins, 0.0)
        return self.C * float(short @ short), -2 * self.C * short, 2 * self.C * (short > 0)
