"""Chooses what a bundle keeps of its training rows."""

import io
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from ml.bundle.facts import ScorerKind
from ml.monitoring.logistic import UNCHANGED, Line
from ml.product.application import Application
from ml.product.definition import Product
from ml.product.errors import InvalidData
from ml.scoring.novelty import NEIGHBOURS
from ml.training.dataset import as_applications

# Measured (docs/model.md): with 50 rows, resampled training rows change the principal reasons of
# one refusal in six; with 200 rows, of one in fifteen. A linear margin is explained against 200
# rows in about the same time. Other models would take four times as long; a kernel already takes
# more than 10 ms with 50 rows.
BACKGROUND_ROWS: dict[ScorerKind, int] = {"linear": 200, "rbf": 50, "pipeline": 50}
# The limit of the distance is this quantile of the distances between training rows. Our own choice.
NOVELTY_QUANTILE = 0.99
# The usual range of a number is between this quantile of the training rows and its counterpart at
# the other end. Our own choice.
USUAL_QUANTILE = 0.995
DECIMALS, ROUNDING = 6, 1e-6
# The limit is never smaller, so that an application is not marked because one number differs a
# little where nearly all training rows have equals. Our own choice: Cohen (1988, "Statistical Power
# Analysis for the Behavioral Sciences") calls a difference of 0.2 standard deviations small. It is
# also far above the rounding of a distance between equal rows, about 1e-6.
MIN_NOVELTY_LIMIT = 0.2
MAX_NOVELTY_ROWS = 5_000  # kept in the bundle to measure distances to; our own choice


def background(
    fields: pd.DataFrame, probability: np.ndarray, *, threshold: float, count: int
) -> list[Application]:
    """Choose the background of explanations: the rows that were only just granted.

    Parameters
    ----------
    fields : DataFrame of shape (n_samples, n_fields)
        The training rows.
    probability : ndarray of shape (n_samples,)
        The probabilities of being good by the model to be explained.
    threshold : float
        The lowest probability at which a loan is granted.
    count : int
        The largest number of rows.

    Returns
    -------
    list of Application
        The different rows with the lowest probabilities at or above the threshold, in ascending
        order; at most `count`.

    Raises
    ------
    InvalidData
        No row reaches the threshold.
    """
    order = np.argsort(probability, kind="stable")
    granted = fields.iloc[order[probability[order] >= threshold]].drop_duplicates()
    if granted.empty:
        raise InvalidData(f"no row reaches the threshold {threshold:g}, so none would be granted")
    return as_applications(granted.head(count))


def ranges(product: Product, fields: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """Return the smallest and the largest value of each integer field.

    Parameters
    ----------
    product : Product
    fields : DataFrame of shape (n_samples, n_fields)
        The training rows.

    Returns
    -------
    dict of str to (int, int)
    """
    names = [f.name for f in product.inputs if f.kind == "integer"]
    return {name: (int(fields[name].min()), int(fields[name].max())) for name in names}


class Neighbourhood(NamedTuple):
    """The data for `ml.scoring.novelty.Novelty`, and the training rows that it would mark.

    Attributes
    ----------
    content : bytes
        The content of an ``.npz`` file for `ml.scoring.novelty.Novelty`.
    kept : ndarray of shape (n_kept,)
        The positions of the training rows that the file holds.
    marked : ndarray of shape (n_kept,)
        Of bool: whether each of these rows is far from the others, or has a number outside its
        usual range.
    """

    content: bytes
    kept: np.ndarray
    marked: np.ndarray


def neighbourhood(matrix: np.ndarray, *, numbers: int, seed: int) -> Neighbourhood:
    """Compute the limit of the distance between training rows, and the usual ranges of numbers.

    Parameters
    ----------
    matrix : ndarray of shape (n_samples, n_columns)
        The training rows in the columns of the model.
    numbers : int
        The number of columns, from the first on, that are numbers.
    seed : int
        The seed of the sample that is drawn if there are more than `MAX_NOVELTY_ROWS` rows.

    Returns
    -------
    Neighbourhood
    """
    kept = np.arange(len(matrix))
    if len(matrix) > MAX_NOVELTY_ROWS:
        kept = np.sort(
            np.random.default_rng(seed).choice(len(matrix), MAX_NOVELTY_ROWS, replace=False)
        )
    rows, some = matrix[kept], matrix[:, :numbers]
    # Rounded, so that different last digits on another processor do not change the version of the
    # model; and outward, so that a value at the end of the range is within it.
    lowest = (
        np.quantile(some, 1 - USUAL_QUANTILE, axis=0, method="lower").round(DECIMALS) - ROUNDING
    )
    highest = np.quantile(some, USUAL_QUANTILE, axis=0, method="higher").round(DECIMALS) + ROUNDING
    count = min(NEIGHBOURS + 1, len(rows))  # one more, because each row is nearest to itself
    distances, _ = NearestNeighbors(n_neighbors=count).fit(rows).kneighbors(rows)
    limit = round(float(np.quantile(distances[:, -1], NOVELTY_QUANTILE)), DECIMALS)
    limit = max(limit, MIN_NOVELTY_LIMIT)
    beyond = (rows[:, :numbers] < lowest) | (rows[:, :numbers] > highest)
    content = io.BytesIO()
    np.savez(content, rows=rows, limit=limit, lowest=lowest, highest=highest)
    marked = beyond.any(axis=1) | (distances[:, -1] > limit)
    return Neighbourhood(content.getvalue(), kept, marked)


def labelled(
    good: np.ndarray, probability: np.ndarray, *, kept: np.ndarray, line: Line = UNCHANGED
) -> bytes:
    """Write the labels and probabilities of training rows, for `ml.monitoring.rows`.

    Parameters
    ----------
    good : ndarray of shape (n_samples,)
        1 for good, 0 for bad.
    probability : ndarray of shape (n_samples,)
        Of being good, out of fold.
    kept : ndarray of shape (n_kept,)
        The positions of the rows that the bundle keeps, as in `Neighbourhood`.
    line : Line
        The correction by outcomes that `probability` includes.

    Returns
    -------
    bytes
        The content of an ``.npz`` file.
    """
    content = io.BytesIO()
    np.savez(
        content, good=good.astype(bool), probability=probability, kept=kept, line=np.array(line)
    )
    return content.getvalue()
