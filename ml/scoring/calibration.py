"""The sigmoid that converts a margin to a calibrated probability.

Source: Platt 1999, "Probabilistic outputs for support vector machines and comparisons to
regularized likelihood methods".
"""

import math

import numpy as np


class Sigmoid:
    """The probability 1 / (1 + exp(a · margin + b)).

    Parameters
    ----------
    a, b : float
        The coefficients ``a_`` and ``b_`` of a calibrator that `CalibratedClassifierCV` has fitted.
    """

    def __init__(self, a: float, b: float) -> None:
        self._a, self._b = a, b

    def one(self, margin: float) -> float:
        """Return the probability for one margin.

        Parameters
        ----------
        margin : float

        Returns
        -------
        float
            The calibrated probability of being good.
        """
        exponent = self._a * margin + self._b
        if exponent < 0:
            return 1 / (1 + math.exp(exponent))
        inverse = math.exp(-exponent)
        return inverse / (1 + inverse)

    def many(self, margins: np.ndarray) -> np.ndarray:
        """Return the probabilities for many margins.

        Parameters
        ----------
        margins : ndarray of shape (n_samples,)

        Returns
        -------
        ndarray of shape (n_samples,)
            The calibrated probabilities of being good.
        """
        exponent = self._a * margins + self._b
        inverse = np.exp(-np.abs(exponent))
        probability: np.ndarray = np.where(exponent < 0, 1.0, inverse) / (1 + inverse)
        return probability
