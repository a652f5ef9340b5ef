"""The columns of a model, computed from the fields of applications."""

import math
from typing import Any, Protocol

import numpy as np

from ml.product.application import Application
from ml.scoring.features import (
    codes_of,
    number,
    ratio,
    ratio_one,
    transform_one,
    transformed,
    untransformed,
)

Normalised = dict[str, float | list[int]]


class Frame(Protocol):
    """Columns by name: a DataFrame or a mapping."""

    def __getitem__(self, name: str, /) -> Any:  # noqa: ANN401 - any array_like
        """Return a column."""


class Columns:
    """Computes the columns of a model: its normalised inputs.

    Parameters
    ----------
    layout : dict
        The description of the arrays that `ml.training.export` writes.
    arrays : dict of str to ndarray
        ``median``, ``mean`` and ``scale`` of the numbers.

    Attributes
    ----------
    names : tuple of str
        For each column, the field or the ratio that it comes from.
    """

    def __init__(self, layout: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        self._transforms: dict[str, str | None] = dict(layout["numbers"])
        self._ratios: list[list[Any]] = layout["ratios"]
        self._scaled: list[str] = layout["scaled"]
        self._absent: list[str] = layout["absent"]
        self._choices: list[tuple[str, list[str], str | None]] = [
            tuple(c) for c in layout["choices"]
        ]
        indicated = [name for name, values, _ in self._choices for _ in values]
        self.names = (*self._scaled, *self._absent, *indicated)
        self._scales = list(
            zip(*(arrays[n].tolist() for n in ("median", "mean", "scale")), strict=True)
        )

    def of_one(self, application: Application) -> tuple[Normalised, list[float]]:
        """Compute the columns for one application.

        Parameters
        ----------
        application : Application

        Returns
        -------
        normalised : dict of str to float or list of int
            As `ml.scoring.scorer.Score.normalised`.
        row : list of float of length n_columns
            As `ml.scoring.scorer.Score.row`.
        """
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

    def matrix(self, frame: Frame) -> np.ndarray:
        """Compute the columns for many applications.

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
        scaled, absent, choices = self.parts(frame)
        indicators = [
            (code == i).astype(np.float64) for code, count in choices for i in range(count)
        ]
        return np.column_stack([*scaled, *absent, *indicators])

    def normalised(self, matrix: np.ndarray) -> list[Normalised]:
        """Return the columns of many applications in the form of `of_one`.

        Parameters
        ----------
        matrix : ndarray of shape (n_samples, n_columns)
            The result of `matrix`.

        Returns
        -------
        list of dict of length n_samples
        """
        parts: list[Any] = [matrix[:, i].tolist() for i in range(len(self._scaled))]
        start = len(self._scaled) + len(self._absent)
        for _, values, _ in self._choices:
            parts.append(matrix[:, start : start + len(values)].astype(int).tolist())
            start += len(values)
        names = [*self._scaled, *(name for name, _, _ in self._choices)]
        return [dict(zip(names, row, strict=True)) for row in zip(*parts, strict=True)]

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

    def parts(
        self, frame: Frame
    ) -> tuple[list[np.ndarray], list[np.ndarray], list[tuple[np.ndarray, int]]]:
        """Compute the parts of the columns for many applications.

        Parameters
        ----------
        frame : DataFrame or mapping of str to array_like of shape (n_samples,)
            As for `matrix`.

        Returns
        -------
        scaled, absent : list of ndarray of shape (n_samples,)
        choices : list of (ndarray of shape (n_samples,), int)
            As for `ml.scoring.margins.LinearMargin.many`.
        """
        raw = {name: np.asarray(frame[name], dtype=np.float64) for name in self._transforms}
        columns = {name: transformed(raw[name], t) for name, t in self._transforms.items()}
        for name, terms, times, over, low, high in self._ratios:
            columns[name] = ratio(raw, terms=terms, times=times, over=over, bounds=(low, high))
        scaled = []
        for name, (median, mean, scale) in zip(self._scaled, self._scales, strict=True):
            value = columns[name]
            scaled.append((np.where(np.isnan(value), median, value) - mean) / scale)
        absent = [np.isnan(raw[name]).astype(np.float64) for name in self._absent]
        choices = [
            (codes_of(frame[name], values, fill), len(values))
            for name, values, fill in self._choices
        ]
        return scaled, absent, choices
