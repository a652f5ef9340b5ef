"""A linear classifier on B-splines whose curves rise or fall where the product says so."""

import warnings
from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from scipy.optimize import lsq_linear
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning

from ml.product.quantities import Direction

Loss = Literal["squared_hinge", "log"]
MAX_NEWTON_STEPS = 100  # of Newton’s method, which took 5 to 7 on the shipped rows
TOLERANCE = 1e-12  # what the next step may still promise, as a share of the objective
DECREASE = 1e-4  # that a step must bring, as a share of what the gradient promises (Armijo 1966)
RIDGE = 1e-10  # lets the Hessian be inverted where no row pulls on the intercept


class MonotoneLinear(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # untyped
    """A linear SVC or logistic regression that keeps to stated directions.

    Parameters
    ----------
    loss : {"squared_hinge", "log"}
    C : float
        The weight of the loss against half the squared length of the coefficients.
    directions : sequence of {"up", "down", None}
        Of each number, whether its curve may only rise or only fall.
    others : int
        How many columns follow those of the numbers' splines.
    absent : sequence of (int, int)
        For each number that may be missing its place among the numbers, and that of its indicator
        among the columns that follow.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
    coef_ : ndarray of shape (1, n_columns)
    intercept_ : ndarray of shape (1,)
        Not penalised.

    Notes
    -----
    A sum of B-splines never falls if their coefficients never do (de Boor, "A practical guide to
    splines", 1978). So the coefficients are written as sums of steps that are at least 0.

    A number with a direction that is left out counts no more than the worst answer, provided that a
    training row lacks it. Without such a row, its indicator has no weight, and it counts as what
    stands in for it.

    `ml.training.candidates.preparation` leaves out the last spline of each number. It is added
    again here: without it the penalty pulls a curve to its value at the largest number, and a curve
    that may not turn pays most for that (docs/adr/0016). The result is then written without it.

    Each step of Newton's method solves its quadratic problem within the bounds exactly, so the end
    is the same to the last digits on every processor.
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
        """Find the coefficients.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_columns)
        y : ndarray of shape (n_samples,)
            Of two classes.

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
        """Return the class on whose side of the margin 0 each row lies.

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
        """Return the matrix that adds each number's last spline, which is 1 less its others."""
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
        """Return the matrix from steps to coefficients and intercept, and which steps are >= 0."""
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
                # What stands in for a missing value and its indicator count together what the
                # worst value does, less a step.
                part = slice(i * count, (i + 1) * count)
                stand_in = columns[missing[0], part]
                worst = part.start if self.directions[i] == "up" else part.stop - 1
                sums[at] = sums[worst] - stand_in @ sums[part]
                sums[at, at], bounded[at] = -1.0, True
        return sums, bounded

    def _minimise(self, rows: np.ndarray, penalty: np.ndarray, bounded: np.ndarray) -> np.ndarray:
        least = np.where(bounded, 0.0, -np.inf)
        steps = np.zeros(rows.shape[1])
        value, slopes, bends = self._loss(rows @ steps)
        for _ in range(MAX_NEWTON_STEPS):
            gradient = rows.T @ slopes + penalty @ steps
            hessian = (rows.T * bends) @ rows + penalty + RIDGE * np.eye(len(steps))
            # The model's minimum within the bounds, as least squares.
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
            warnings.warn("the coefficients have not settled", ConvergenceWarning, stacklevel=3)
        return steps

    def _loss(self, margins: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return the loss, and by each row's margin its first and second derivative."""
        if self.loss == "log":
            wrong = np.exp(-np.logaddexp(0.0, margins))  # the probability of the other class
            value = np.logaddexp(0.0, -margins).sum()
            return self.C * float(value), -self.C * wrong, self.C * wrong * (1 - wrong)
        short = np.maximum(1.0 - margins, 0.0)
        return self.C * float(short @ short), -2 * self.C * short, 2 * self.C * (short > 0)
