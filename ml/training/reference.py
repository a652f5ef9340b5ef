"""What a bundle keeps of its training rows: background, ranges, and what is far from them all."""

import io

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from ml.bundle.facts import ScorerKind
from ml.product.application import Application, InvalidData
from ml.product.definition import Product
from ml.scoring.novelty import NEIGHBOURS
from ml.training.dataset import as_applications

# With 50 rows, other training rows of the same kind would change the principal reasons of one
# refusal in six, with 200 of one in sixteen (docs/model.md). A linear margin explains against 200
# in the same time; the others take four times as long, and an RBF kernel more than 10 ms.
BACKGROUND_ROWS: dict[ScorerKind, int] = {"linear": 200, "rbf": 50, "pipeline": 50}
# Of the training rows themselves one in a hundred counts as far from the others: our own choice.
FAR = 0.99
MOST_ROWS = 5_000  # kept to measure distances to; a sample of them where there are more


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


def novelty_arrays(matrix: np.ndarray, *, seed: int) -> bytes:
    """Measure how far training rows lie from one another.

    Parameters
    ----------
    matrix : ndarray of shape (n_samples, n_columns)
        What the model sees of them.
    seed : int
        Of the sample that is taken of more than `MOST_ROWS` rows.

    Returns
    -------
    bytes
        Of an ``.npz`` file for `ml.scoring.novelty.Novelty`.
    """
    if len(matrix) > MOST_ROWS:
        kept = np.random.default_rng(seed).choice(len(matrix), MOST_ROWS, replace=False)
        matrix = matrix[np.sort(kept)]
    count = min(NEIGHBOURS + 1, len(matrix))  # each row is its own nearest
    distances, _ = NearestNeighbors(n_neighbors=count).fit(matrix).kneighbors(matrix)
    content = io.BytesIO()
    # Rounded, so that another processor's last digit makes no other version of the model.
    np.savez(content, rows=matrix, limit=round(float(np.quantile(distances[:, -1], FAR)), 6))
    return content.getvalue()
