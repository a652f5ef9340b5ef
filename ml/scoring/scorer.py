"""The Scorer: a fitted pipeline as NumPy arrays, with the same results as scikit-learn's."""

import io
import json
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ml.product.application import Application, as_columns
from ml.scoring.calibration import Sigmoid
from ml.scoring.columns import Columns, Frame, Normalised
from ml.scoring.margins import KernelMargin, read_margin


class Score(NamedTuple):
    """The score of one application.

    Attributes
    ----------
    probability : float
        The calibrated probability of being good.
    normalised : dict of str to float or list of int
        The input of the model for each field and ratio: the distance from the training mean in
        standard deviations (a missing value counts as the training median), and for a choice a list
        of one 0 or 1 for each of its values.
    row : list of float of length n_columns
        The same values and the indicators of missing ones, in the order of `Scorer.columns.names`.
    """

    probability: float
    normalised: Normalised
    row: list[float]


def scorer_kind(content: bytes) -> str:
    """Return how the margin of an exported model is computed.

    Parameters
    ----------
    content : bytes
        The content of a bundle's ``scorer.npz``.

    Returns
    -------
    {"linear", "rbf", "pipeline"}
    """
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return str(json.loads(str(arrays["layout"]))["kind"])


class Scorer:
    """A model that scores applications.

    Parameters
    ----------
    content : bytes
        The content of a bundle's ``scorer.npz``; nothing in it is unpickled.
    pipeline : callable, optional
        Computes probabilities from raw fields. Required for a model without an array form, which
        is every model but the SVCs and logistic regression.

    Attributes
    ----------
    kind : {"linear", "rbf", "pipeline"}
        How the margin is computed.
    margin : LinearMargin, KernelMargin or None
        None for a model without an array form.
    columns : Columns
        Computes the columns of the model.

    Raises
    ------
    ValueError
        The model has no array form, and `pipeline` is not given.
    """

    def __init__(
        self,
        content: bytes,
        *,
        pipeline: Callable[[Frame], np.ndarray] | None = None,
    ) -> None:
        with np.load(io.BytesIO(content), allow_pickle=False) as held:
            arrays: dict[str, np.ndarray] = {name: held[name] for name in held.files}
        layout = json.loads(str(arrays["layout"]))
        self.kind: str = layout["kind"]
        self.margin = read_margin(arrays, layout)
        self._pipeline = pipeline
        if self.margin is None and pipeline is None:
            raise ValueError("this model has no array form: the scorer needs its pipeline")
        self.columns = Columns(layout, arrays)
        self._calibration = Sigmoid(*layout["calibration"])

    def score(self, application: Application) -> Score:
        """Score one application.

        Parameters
        ----------
        application : Application
            Every field; None for a missing one.

        Returns
        -------
        Score
        """
        normalised, row = self.columns.of_one(application)
        if self.margin is None:
            probability = float(self._by_pipeline({n: [v] for n, v in application.items()})[0])
        else:
            probability = self._calibration.one(self.margin.one(row))
        return Score(probability, normalised, row)

    def score_each(self, applications: Sequence[Application]) -> list[Score]:
        """Score many applications, as `score` does one.

        Parameters
        ----------
        applications : sequence of Application
            At least one.

        Returns
        -------
        list of Score
            Equal to the results of `score` but for rounding errors of about 1e-15.
        """
        frame = as_columns(applications)
        matrix = self.columns.matrix(frame)
        normalised = self.columns.normalised(matrix)
        probabilities = self.score_many(frame).tolist()
        return [
            Score(*parts) for parts in zip(probabilities, normalised, matrix.tolist(), strict=True)
        ]

    def row(self, application: Application) -> list[float]:
        """Compute the columns of the model for one application.

        Parameters
        ----------
        application : Application

        Returns
        -------
        list of float of length n_columns
            As `Score.row`.
        """
        return self.columns.of_one(application)[1]

    def margin_of(self, row: list[float], application: Application) -> float:
        """Compute the margin of one application.

        Parameters
        ----------
        row : list of float of length n_columns
            The columns of the application, as `Score.row`.
        application : Application
            The application itself, which a model without an array form needs.

        Returns
        -------
        float
        """
        if self.margin is not None:
            return self.margin.one(row)
        return float(self.margins({name: [v] for name, v in application.items()})[0])

    def score_many(self, frame: Frame) -> np.ndarray:
        """Score many applications.

        Parameters
        ----------
        frame : DataFrame or mapping of str to array_like of shape (n_samples,)
            Raw fields by name; None or NaN for missing.

        Returns
        -------
        ndarray of shape (n_samples,)
            The calibrated probability of being good.
        """
        if self.margin is None:
            return self._by_pipeline(frame)
        return self._calibration.many(self.margins(frame))

    def margins(self, frame: Frame) -> np.ndarray:
        """Compute the margins of many applications.

        Parameters
        ----------
        frame : DataFrame or mapping of str to array_like of shape (n_samples,)
            Raw fields by name; None or NaN for missing.

        Returns
        -------
        ndarray of shape (n_samples,)
            The decision function for an SVC or logistic regression; for any other model the
            log-odds of the calibrated probability.
        """
        if self.margin is None:
            probability = self._by_pipeline(frame)
            odds: np.ndarray = np.log(probability) - np.log1p(-probability)
            return odds
        if isinstance(self.margin, KernelMargin):
            return self.margin.many(self.columns.matrix(frame))
        return self.margin.many(*self.columns.parts(frame))

    def _by_pipeline(self, frame: Frame) -> np.ndarray:
        if self._pipeline is None:  # pragma: no cover - the constructor refuses this
            raise ValueError("no pipeline")
        return self._pipeline(frame)
