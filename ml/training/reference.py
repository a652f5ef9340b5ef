"""What a bundle keeps of its training rows: background, ranges, and what is far from them all."""

import io
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from ml.bundle.facts import ScorerKind
from ml.product.application import Application, InvalidData
from ml.product.definition import Product
from ml.scoring.novelty import NEIGHBOURS
from ml.training.dataset import as_applications

# With 50 rows, other training rows of the same kind would change the principal reasons of one
# refusal in six, with 200 of one in fifteen (docs/model.md). A linear margin explains against 200
# in the same time; the others take four times as long, and an RBF kernel more than 10 ms.
BACKGROUND_ROWS: dict[ScorerKind, int] = {"linear": 200, "rbf": 50, "pipeline": 50}
# Of the training rows themselves one in a hundred counts as far from the others: our own choice.
NOVELTY_QUANTILE = 0.99
# Of a field's values in the training rows, 99.5 % are at most its highest usual one and 99.5 % at
# least its lowest: our own choice.
USUAL_QUANTILE = 0.995
DECIMALS, ROUNDING = 6, 1e-6
MAX_NOVELTY_ROWS = 5_000  # kept to measure distances to; a sample of them where there are more


def background(
    fields: pd.DataFrame, probability: np.ndarray, *, threshold: float, count: int
) -> list[Application]:
    """Choose the rows that an explanation compares with: those that were only just granted.

    Parameters
    ----------
    fields : DataFrame of shape (n_samples, n_fields)
    probability : ndarray of shape (n_samples,)
        Of being good, as the model has it that decides.
    threshold : float
    count : int

    Returns
    -------
    list of Application
        The `count` rows next above the threshold, all different; all there are if there are
        fewer.

    Raises
    ------
    InvalidData
        No row reaches the threshold.
    """
    order = np.argsort(probability, kind="stable")
    granted = fields.iloc[order[probability[order] >= threshold]].drop_duplicates()
    if granted.empty:
        raise InvalidData(f"no row reaches the threshold {threshold:g}: nothing would be granted")
    return as_applications(granted.head(count))


def ranges(product: Product, fields: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """Return between which values each integer field lies in the rows.

    Parameters
    ----------
    product : Product
    fields : DataFrame of shape (n_samples, n_fields)

    Returns
    -------
    dict of str to (int, int)
    """
    names = [f.name for f in product.inputs if f.kind == "integer"]
    return {name: (int(fields[name].min()), int(fields[name].max())) for name in names}


class Neighbourhood(NamedTuple):
    """What tells applications that are far from the training rows.

    Attributes
    ----------
    content : bytes
        Of an ``.npz`` file for `ml.scoring.novelty.Novelty`.
    kept : ndarray of shape (n_kept,)
        The positions of the rows that it holds.
    marked : ndarray of shape (n_kept,)
        Whether each of them is far from the others, or has a number beyond the usual ones.
    """

    content: bytes
    kept: np.ndarray
    marked: np.ndarray


def neighbourhood(matrix: np.ndarray, *, numbers: int, seed: int) -> Neighbourhood:
    """Measure how far training rows lie from one another, and between what their numbers lie.

    Parameters
    ----------
    matrix : ndarray of shape (n_samples, n_columns)
        What the model sees of them.
    numbers : int
        How many of the first columns are numbers.
    seed : int
        Of the sample that is taken of more than `MAX_NOVELTY_ROWS` rows.

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
    # Rounded, so that another processor's last digit makes no other version of the model; outward,
    # so that the last usual value is not beyond itself.
    lowest = (
        np.quantile(some, 1 - USUAL_QUANTILE, axis=0, method="lower").round(DECIMALS) - ROUNDING
    )
    highest = np.quantile(some, USUAL_QUANTILE, axis=0, method="higher").round(DECIMALS) + ROUNDING
    count = min(NEIGHBOURS + 1, len(rows))  # each row is its own nearest
    distances, _ = NearestNeighbors(n_neighbors=count).fit(rows).kneighbors(rows)
    limit = round(float(np.quantile(distances[:, -1], NOVELTY_QUANTILE)), DECIMALS)
    beyond = (rows[:, :numbers] < lowest) | (rows[:, :numbers] > highest)
    content = io.BytesIO()
    np.savez(content, rows=rows, limit=limit, lowest=lowest, highest=highest)
    marked = beyond.any(axis=1) | (distances[:, -1] > limit)
    return Neighbourhood(content.getvalue(), kept, marked)
