"""The training rows that a bundle keeps, with their labels."""

import io
from typing import NamedTuple

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
    with understood(bundle.directory / LABELLED):
        labelled, novelty = (
            np.load(io.BytesIO(bundle.file(name)), allow_pickle=False)
            for name in (LABELLED, NOVELTY)
        )
        kept = labelled["kept"]
        return TrainingRows(
            novelty["rows"],
            labelled["probability"][kept],
            labelled["good"][kept],
            Line(*labelled["line"].tolist()),
        )
