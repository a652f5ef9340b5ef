"""The Scorer: a fitted pipeline as plain NumPy arrays, with the same answer as scikit-learn's."""

import io
import json
import math
from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

import numpy as np

from ml.application import Application
from ml.columns import ratio, transformed

Normalised = dict[str, float | list[int]]
# Rows at a time, so that the kernel's intermediate matrix stays small: 14 MB for 1,700 vectors.
# Measured, with one thread and with two: 64 to 2,048 rows differ by a factor of two at most.
CHUNK = 1024


class Frame(Protocol):
    """Columns by name: a DataFrame or a mapping."""

    def __getitem__(self, name: str, /) -> Any:  # noqa: ANN401 - any array_like
        """Return a column."""


class Score(NamedTuple):
    """What a model says of one application.

    Attributes
    ----------
    probability : float
        Calibrated, of being good.
    normalised : dict of str to float or list of int
        What the model saw of each field: standard deviations from the training mean (a missing
        value stands at the median), and for a choice one 0 or 1 for each of its words.
    """

    probability: float
    normalised: Normalised


class Scorer:
    """A model that scores applications.

    Parameters
    ----------
    content : bytes
        Of a bundle's ``scorer.npz``; nothing in it is unpickled.
    pipeline : callable, optional
        From raw fields to probabilities; asked where the arrays hold no model, which is so for
        every champion but the SVCs and logistic regression.

    Attributes
    ----------
    kind : {"linear", "rbf", "pipeline"}
        How the margin is computed.
    """

    def __init__(
        self,
        content: bytes,
        *,
        pipeline: Callable[[Frame], np.ndarray] | None = None,
    ) -> None:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            self._arrays: dict[str, np.ndarray] = {name: arrays[name] for name in arrays.files}
        layout = json.loads(str(self._arrays["layout"]))
        self.kind: str = layout["kind"]
        self._pipeline = pipeline
        if self.kind == "pipeline" and pipeline is None:
            raise ValueError("this champion has no array form: the scorer needs its pipeline")
        self._transforms: dict[str, str | None] = dict(layout["numbers"])
        self._ratios: list[list[Any]] = layout["ratios"]
        self._scaled: list[str] = layout["scaled"]
        self._absent: list[str] = layout["absent"]
        self._choices: list[tuple[str, list[str], str | None]] = [
            tuple(c) for c in layout["choices"]
        ]
        self._calibration: tuple[float, float] = tuple(layout["calibration"])
        self._scales = list(
            zip(*(self._arrays[n].tolist() for n in ("median", "mean", "scale")), strict=True)
        )
        if self.kind == "linear":
            self._weights = self._arrays["weights"].tolist()
            self._intercept = float(self._arrays["intercept"])
            self._curves = [
                (self._arrays[f"breaks_{i}"].tolist(), self._arrays[f"pieces_{i}"].T.tolist())
                for i in range(layout["curves"])
            ]
        if self.kind == "rbf":
            self._prepare_kernel()

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
        scaled = self._scale_one(application)
        normalised: Normalised = dict(zip(self._scaled, scaled, strict=True))
        absent = [1.0 if application[name] is None else 0.0 for name in self._absent]
        words: list[int] = []
        for name, values, fill in self._choices:
            word = fill if application[name] is None else application[name]
            places = [int(word == value) for value in values]
            normalised[name] = places
            words += places
        if self.kind == "pipeline":
            probability = float(self._by_pipeline({n: [v] for n, v in application.items()})[0])
        elif self.kind == "linear":
            probability = self._calibrate_one(self._linear_one(scaled, [*absent, *words]))
        else:
            row = np.array([[*scaled, *absent, *words]])
            probability = self._calibrate_one(float(self._kernel_margin(row)[0]))
        return Score(probability, normalised)

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
        if self.kind == "pipeline":
            return self._by_pipeline(frame)
        raw = {name: np.asarray(frame[name], dtype=np.float64) for name in self._transforms}
        scaled = self._scale_many(raw)
        absent = [np.isnan(raw[name]).astype(np.float64) for name in self._absent]
        codes = [_codes(frame[name], values, fill) for name, values, fill in self._choices]
        if self.kind == "linear":
            margin = self._linear_many(scaled, absent, codes)
        else:
            words = [
                (code == i).astype(np.float64)
                for code, (_, values, _) in zip(codes, self._choices, strict=True)
                for i in range(len(values))
            ]
            matrix = np.column_stack([*scaled, *absent, *words])
            parts = range(0, len(matrix), CHUNK)
            margin = np.concatenate(
                [self._kernel_margin(matrix[i : i + CHUNK]) for i in parts] or [np.empty(0)]
            )
        return self._calibrate_many(margin)

    def _by_pipeline(self, frame: Frame) -> np.ndarray:
        if self._pipeline is None:  # pragma: no cover - the constructor refuses this
            raise ValueError("no pipeline")
        return self._pipeline(frame)

    def _scale_one(self, application: Application) -> list[float]:
        columns: dict[str, float] = {}
        for name, transform in self._transforms.items():
            columns[name] = _transform_one(_number(application[name]), transform)
        for name, terms, times, over, low, high in self._ratios:
            columns[name] = _ratio_one(application, (terms, times, over, low, high))
        scaled = []
        for name, (median, mean, scale) in zip(self._scaled, self._scales, strict=True):
            value = columns[name]
            scaled.append(((median if math.isnan(value) else value) - mean) / scale)
        return scaled

    def _scale_many(self, raw: dict[str, np.ndarray]) -> list[np.ndarray]:
        columns = {name: transformed(raw[name], t) for name, t in self._transforms.items()}
        for name, terms, times, over, low, high in self._ratios:
            columns[name] = ratio(raw, terms=terms, times=times, over=over, bounds=(low, high))
        scaled = []
        for name, (median, mean, scale) in zip(self._scaled, self._scales, strict=True):
            value = columns[name]
            scaled.append((np.where(np.isnan(value), median, value) - mean) / scale)
        return scaled

    def _linear_one(self, scaled: list[float], rest: list[float]) -> float:
        margin: float = self._intercept
        for value, (breaks, pieces) in zip(scaled, self._curves, strict=False):
            inside = min(max(value, breaks[0]), breaks[-1])
            at = min(bisect_right(breaks, inside), len(pieces)) - 1
            step, total = inside - breaks[at], 0.0
            for coefficient in pieces[at]:
                total = total * step + coefficient
            margin += total
        for weight, value in zip(self._weights, [*scaled[len(self._curves) :], *rest], strict=True):
            margin += weight * value
        return margin

    def _linear_many(
        self, scaled: list[np.ndarray], absent: list[np.ndarray], codes: list[np.ndarray]
    ) -> np.ndarray:
        margin = np.full(len((scaled or absent or codes)[0]), self._intercept)
        for i, value in enumerate(scaled[: len(self._curves)]):
            breaks, pieces = self._arrays[f"breaks_{i}"], self._arrays[f"pieces_{i}"]
            inside = np.clip(value, breaks[0], breaks[-1])
            at = np.minimum(np.searchsorted(breaks, inside, side="right"), pieces.shape[1]) - 1
            step, total = inside - breaks[at], np.zeros(len(inside))
            for row in pieces:
                total = total * step + row[at]
            margin += total
        plain = [*scaled[len(self._curves) :], *absent]
        for weight, value in zip(self._weights, plain, strict=False):
            margin += weight * value
        at = len(plain)
        for code, (_, values, _) in zip(codes, self._choices, strict=True):
            # One place more than there are words: an unseen word has code -1 and weight 0.
            margin += np.array([*self._weights[at : at + len(values)], 0.0])[code]
            at += len(values)
        return margin

    def _prepare_kernel(self) -> None:
        vectors, gamma = self._arrays["vectors"], float(self._arrays["gamma"])
        # exp(-g|x - v|²) = exp(2g x·v - g|v|²) · exp(-g|x|²)
        self._twice = np.asfortranarray((2 * gamma * vectors).T)
        self._lengths = -gamma * (vectors * vectors).sum(axis=1)
        self._gamma = gamma

    def _kernel_margin(self, matrix: np.ndarray) -> np.ndarray:
        kernel = matrix @ self._twice
        kernel += self._lengths
        kernel -= self._gamma * np.einsum("ij,ij->i", matrix, matrix)[:, None]
        np.exp(kernel, out=kernel)
        margin: np.ndarray = kernel @ self._arrays["dual"] + float(self._arrays["intercept"])
        return margin

    def _calibrate_one(self, margin: float) -> float:
        a, b = self._calibration
        exponent = a * margin + b
        if exponent < 0:
            return 1 / (1 + math.exp(exponent))
        inverse = math.exp(-exponent)
        return inverse / (1 + inverse)

    def _calibrate_many(self, margin: np.ndarray) -> np.ndarray:
        a, b = self._calibration
        exponent = a * margin + b
        inverse = np.exp(-np.abs(exponent))
        probability: np.ndarray = np.where(exponent < 0, 1.0, inverse) / (1 + inverse)
        return probability


def _transform_one(value: float, transform: str | None) -> float:
    if transform == "log":
        return math.copysign(math.log1p(abs(value)), value)
    return math.sqrt(value) if transform == "sqrt" else value


def _ratio_one(application: Application, definition: tuple[Any, Any, Any, float, float]) -> float:
    terms, times, over, low, high = definition
    value = 0.0
    for name, weight in terms:
        value += weight * _number(application[name])
    for name in times:
        value *= _number(application[name])
    for name in over:
        divisor = _number(application[name])
        value = value / divisor if divisor else math.nan
    return value if math.isnan(value) else min(max(value, low), high)


def _number(value: int | str | None) -> float:
    return math.nan if value is None else float(value)


def _codes(column: Iterable[Any], values: list[str], fill: str | None) -> np.ndarray:
    """Return each word's place among the values of its field, -1 for an unseen one."""
    places: dict[Any, int] = {value: i for i, value in enumerate(values)}
    filled = places.get(fill, -1)
    words = np.asarray(column, dtype=object)
    return np.array(
        [filled if w is None or w != w else places.get(w, -1) for w in words], dtype=int
    )
