"""The sigmoid that calibrates a margin to a probability (Platt 1999)."""

import math

import numpy as np


class Sigmoid:
    """The probability 1 / (1 + exp(a · margin + b)).

    Parameters
    ----------
    a, b : float
        As scikit-learn's `CalibratedClassifierCV` fits them.
    """

    def __init__(self, a: float, b: float) -> None:
        self._a, self._b = a, b

    def one(self, margin: float) -> float:
        """Calibrate one margin.

        Parameters
        ----------
        margin : float

        Returns
        -------
        float
        """
        exponent = self._a * margin + self._b
        if exponent < 0:
            return 1 / (1 + math.exp(exponent))
        inverse = math.exp(-exponent)
        return inverse / (1 + inverse)

    def many(self, margins: np.ndarray) -> np.ndarray:
        """Calibrate many margins.

        Parameters
        ----------
        margins : ndarray of shape (n_samples,)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        exponent = self._a * margins + self._b
        inverse = np.exp(-np.abs(exponent))
        probability: np.ndarray = np.where(exponent < 0, 1.0, inverse) / (1 + inverse)
        return probability
