"""The B-spline basis of normalised numbers, defined at the ends of repeated knots too."""

from typing import Self

import numpy as np
from sklearn.preprocessing import SplineTransformer


class Splines(SplineTransformer):  # type: ignore[misc]  # scikit-learn is untyped
    """scikit-learn's splines, continuous where several quantiles are a number's end value.

    Takes the parameters of `sklearn.preprocessing.SplineTransformer`; `extrapolation` must be
    ``"constant"``.

    Attributes
    ----------
    lowest_, highest_ : ndarray of shape (n_numbers,)
        The values between which a number is kept before the splines are computed: its first knot,
        and its last one, or the float below if that knot is repeated.

    Notes
    -----
    At a repeated last knot, SciPy gives every spline the value 0, although the splines next to
    that knot do not tend to 0. Below a repeated first knot, scikit-learn sets the wrong splines.
    A model would then jump at the most frequent value of a number, and the curves that
    `ml.training.export` writes, which are continuous, would score that value differently.
    """

    def fit(self, X: np.ndarray, y: object = None) -> Self:  # noqa: N803 - scikit-learn's name
        """Place the knots.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_numbers)
            Numbers without missing values.
        y : object
            Ignored.

        Returns
        -------
        Splines
        """
        super().fit(X, y)
        knots = np.array([basis.t[self.degree : -self.degree] for basis in self.bsplines_])
        repeated = knots[:, -1] == knots[:, -2]
        self.lowest_ = knots[:, 0]
        self.highest_ = np.where(repeated, np.nextafter(knots[:, -1], -np.inf), knots[:, -1])
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:  # noqa: N803 - scikit-learn's name
        """Compute the splines.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_numbers)
            Numbers without missing values.

        Returns
        -------
        ndarray of shape (n_samples, n_splines)
            For each number all of its splines but the last. Those of a constant number are all 0.
        """
        splines: np.ndarray = super().transform(np.clip(X, self.lowest_, self.highest_))
        return splines
