"""The training rows that a bundle keeps, with their labels."""

import io
from typing import Any, NamedTuple

import numpy as np

from ml.bundle.manifest import LABELLED, NOVELTY, understood
from ml.bundle.reader import Bundle
from ml.monitoring.logistic import UNCHANGED, Line


class TrainingRows(NamedTuple):
    """Training rows, all of them or a random sample.

    Attributes
    ----------
    matrix : ndarray of shape (n_rows, n_columns)
        In the columns of the model, as `ml.scoring.columns.Columns.matrix`.
    probability : ndarray of shape (n_rows,)
        Of being good, each by a model that was not fitted on the row.
    good : ndarray of shape (n_rows,)
        Of bool.
    line : Line
        The correction by which outcomes have changed the probabilities since the training.
    """

    matrix: np.ndarray
    probability: np.ndarray
    good: np.ndarray
    line: Line = UNCHANGED

    def granted(self, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the probabilities and labels of the rows that would be granted.

        Parameters
        ----------
        threshold : float
            The lowest probability at which a loan is granted.

        Returns
        -------
        (ndarray of shape (n_granted,), ndarray of shape (n_granted,))
        """
        chosen = self.probability >= threshold
        return self.probability[chosen], self.good[chosen]


class Labelled(NamedTuple):
    """What a bundle keeps of all its training rows.

    Attributes
    ----------
    probability, good : ndarray of shape (n_rows,)
        As of `TrainingRows`.
    kept : ndarray of shape (n_kept,)
        The positions of the rows of which it keeps the columns, too.
    line : Line
        As of `TrainingRows`.
    """

    probability: np.ndarray
    good: np.ndarray
    kept: np.ndarray
    line: Line


def read_labelled(bundle: Bundle) -> Labelled:
    """Read the labels of the training rows of a bundle.

    Parameters
    ----------
    bundle : Bundle

    Returns
    -------
    Labelled

    Raises
    ------
    InvalidBundle
        The file is missing, or is not the one that was written.
    """
    with understood(bundle.directory / LABELLED), _arrays(bundle, LABELLED) as arrays:
        line = Line(*arrays["line"].tolist())
        return Labelled(arrays["probability"], arrays["good"], arrays["kept"], line)


def read_training_rows(bundle: Bundle) -> TrainingRows:
    """Read the training rows of a bundle.

    Parameters
    ----------
    bundle : Bundle

    Returns
    -------
    TrainingRows

    Raises
    ------
    InvalidBundle
        A file is missing, or is not the one that was written.
    """
    probability, good, kept, line = read_labelled(bundle)
    with understood(bundle.directory / NOVELTY), _arrays(bundle, NOVELTY) as novelty:
        return TrainingRows(novelty["rows"], probability[kept], good[kept], line)


def _arrays(bundle: Bundle, name: str) -> Any:  # noqa: ANN401 - NumPy's, without a name for it
    return np.load(io.BytesIO(bundle.file(name)), allow_pickle=False)
