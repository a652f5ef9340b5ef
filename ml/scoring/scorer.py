"""The Scorer: a fitted pipeline as NumPy arrays, with the same results as scikit-learn's."""

import io
import json
import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from ml.product.application import Application
from ml.scoring.calibration import Sigmoid
from ml.scoring.features import (
    codes_of,
    number,
    ratio,
    ratio_one,
    transform_one,
    transformed,
    untransformed,
)
from ml.scoring.margins import KernelMargin, read_margin

Normalised = dict[str, float | list[int]]


class Frame(Protocol):
    """Columns by name: a DataFrame or a mapping."""

    def __getitem__(self, name: str, /) -> Any:  # noqa: ANN401 - any array_like
        """Return a column."""


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
        The same values and the indicators of missing values, in the order of `Scorer.columns`.
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
    columns : tuple of str
        For each column of the model, the field or the ratio that it comes from.

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
        self._transforms: dict[str, str | None] = dict(layout["numbers"])
        self._ratios: list[list[Any]] = layout["ratios"]
        self._scaled: list[str] = layout["scaled"]
        self._absent: list[str] = layout["absent"]
        self._choices: list[tuple[str, list[str], str | None]] = [
            tuple(c) for c in layout["choices"]
        ]
        indicated = [name for name, values, _ in self._choices for _ in values]
        self.columns = (*self._scaled, *self._absent, *indicated)
        self._calibration = Sigmoid(*layout["calibration"])
        self._scales = list(
            zip(*(arrays[n].tolist() for n in ("median", "mean", "scale")), strict=True)
        )

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
        normalised, row = self._see(application)
        if self.margin is None:
            probability = float(self._by_pipeline({n: [v] for n, v in application.items()})[0])
        else:
            probability = self._calibration.one(self.margin.one(row))
        return Score(probability, normalised, row)

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
        return self._see(application)[1]

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
            return self.margin.many(self.matrix(frame))
        scaled, absent, codes = self._parts(frame)
        counts = [len(values) for _, values, _ in self._choices]
        return self.margin.many(scaled, absent, list(zip(codes, counts, strict=True)))

    def matrix(self, frame: Frame) -> np.ndarray:
        """Compute the columns of the model for many applications.

        Parameters
        ----------
        frame : DataFrame or mapping of str to array_like of shape (n_samples,)
            Raw fields by name; None or NaN for missing.

        Returns
        -------
        ndarray of shape (n_samples, n_columns)
            Normalised numbers and flags, indicators of missing ones, and for each choice one 0 or
            1 for each of its values.
        """
        scaled, absent, codes = self._parts(frame)
        indicators = [
            (code == i).astype(np.float64)
            for code, (_, values, _) in zip(codes, self._choices, strict=True)
            for i in range(len(values))
        ]
        return np.column_stack([*scaled, *absent, *indicators])

    def counted_as(self, name: str) -> float | str:
        """Return the value that the model uses for a missing one.

        Parameters
        ----------
        name : str
            The name of a field or a ratio.

        Returns
        -------
        float or str
            The training median for a number, a flag or a ratio, before any transform; the most
            frequent value for a choice.
        """
        if name in self._scaled:
            median, _, _ = self._scales[self._scaled.index(name)]
            return untransformed(median, self._transforms.get(name))
        return next(str(fill) for choice, _, fill in self._choices if choice == name)

    def _see(self, application: Application) -> tuple[Normalised, list[float]]:
        scaled = self._scale_one(application)
        normalised: Normalised = dict(zip(self._scaled, scaled, strict=True))
        absent = [1.0 if application[name] is None else 0.0 for name in self._absent]
        indicators: list[int] = []
        for name, values, fill in self._choices:
            answer = fill if application[name] is None else application[name]
            of_field = [int(answer == value) for value in values]
            normalised[name] = of_field
            indicators += of_field
        return normalised, [*scaled, *absent, *indicators]

    def _by_pipeline(self, frame: Frame) -> np.ndarray:
        if self._pipeline is None:  # pragma: no cover - the constructor refuses this
            raise ValueError("no pipeline")
        return self._pipeline(frame)

    def _scale_one(self, application: Application) -> list[float]:
        columns: dict[str, float] = {}
        for name, transform in self._transforms.items():
            columns[name] = transform_one(number(application[name]), transform)
        for name, terms, times, over, low, high in self._ratios:
            columns[name] = ratio_one(application, (terms, times, over, low, high))
        scaled = []
        for name, (median, mean, scale) in zip(self._scaled, self._scales, strict=True):
            value = columns[name]
            scaled.append(((median if math.isnan(value) else value) - mean) / scale)
        return scaled

    def _parts(self, frame: Frame) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
        """Return normalised numbers, indicators of missing ones, and choices as indices."""
        raw = {name: np.asarray(frame[name], dtype=np.float64) for name in self._transforms}
        columns = {name: transformed(raw[name], t) for name, t in self._transforms.items()}
        for name, terms, times, over, low, high in self._ratios:
            columns[name] = ratio(raw, terms=terms, times=times, over=over, bounds=(low, high))
        scaled = []
        for name, (median, mean, scale) in zip(self._scaled, self._scales, strict=True):
            value = columns[name]
            scaled.append((np.where(np.isnan(value), median, value) - mean) / scale)
        absent = [np.isnan(raw[name]).astype(np.float64) for name in self._absent]
        codes = [codes_of(frame[name], values, fill) for name, values, fill in self._choices]
        return scaled, absent, codes
