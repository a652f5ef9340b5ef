"""The rows of a product's CSV file, checked before anything is learned from or judged by them."""

from pathlib import Path

import numpy as np
import pandas as pd

from ml.product.application import Application, InvalidData, Value
from ml.product.definition import Product


def read_rows(product: Product, file: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Read the rows of a product's CSV file.

    Parameters
    ----------
    product : Product
    file : Path
        With a header; an empty cell is a missing value.

    Returns
    -------
    fields : DataFrame of shape (n_samples, n_fields)
        The fields of an application alone: no protected column, no target.
    good : ndarray of shape (n_samples,)
        1 for good, 0 for bad.

    Raises
    ------
    InvalidData
        The file cannot be read, lacks a column, has no rows, or holds a word or an infinity where
        a number belongs.
    """
    frame = _read(file)
    wanted = [*(f.name for f in product.inputs), product.target]
    absent = [name for name in wanted if name not in frame]
    if absent:
        raise InvalidData(f"{file}: no column {', '.join(absent)}")
    for name in (f.name for f in product.inputs if f.kind != "choice"):
        numeric = pd.api.types.is_numeric_dtype(frame[name])
        if not numeric or np.isinf(frame[name].to_numpy(dtype=np.float64)).any():
            raise InvalidData(f"{file}: column {name} holds something that is no number")
    good = frame[product.target]
    if not good.isin([0, 1]).all():
        raise InvalidData(f"{file}: column {product.target} must be 0 or 1 in every row")
    return frame[[f.name for f in product.inputs]], good.to_numpy(dtype=np.int64)


def read_protected(product: Product, file: Path) -> pd.DataFrame:
    """Read the protected columns of a product's CSV file.

    Parameters
    ----------
    product : Product
    file : Path
        With a header; an empty cell is a missing value.

    Returns
    -------
    DataFrame of shape (n_samples, n_attributes)
        Those that the file has, in the product's order; it may have none.

    Raises
    ------
    InvalidData
        The file cannot be read, has no rows, or holds a value that its field does not allow.
    """
    frame = _read(file)
    fields = [f for f in product.protected if f.name in frame]
    for field in fields:
        known = frame[field.name].dropna()
        if field.kind == "integer":
            low, high = field.minimum or 0, field.maximum or 0
            numeric = pd.api.types.is_numeric_dtype(known)
            fits = numeric and (known.between(low, high) & (known % 1 == 0)).all()
            wanted = f"no whole number from {low} to {high}"
        else:
            values: list[str | int] = [*(c.value for c in field.choices)] or [0, 1]
            fits = known.isin(values).all()
            wanted = f"none of {', '.join(map(str, values))}"
        if not fits:
            raise InvalidData(f"{file}: column {field.name} holds something that is {wanted}")
    return frame[[f.name for f in fields]]


def _read(file: Path) -> pd.DataFrame:
    try:
        frame = pd.read_csv(file)
    except OSError as error:
        raise InvalidData(f"{file}: {error.strerror or error}") from error
    except ValueError as error:  # what pandas and the codecs raise for a file that is no such CSV
        raise InvalidData(f"{file}: {' '.join(str(error).split())}") from error
    if frame.empty:
        raise InvalidData(f"{file}: no rows")
    return frame


def as_applications(fields: pd.DataFrame) -> list[Application]:
    """Return rows as applications.

    Parameters
    ----------
    fields : DataFrame of shape (n_samples, n_fields)

    Returns
    -------
    list of Application
        With None for a missing value.
    """
    return [
        {str(name): _value(value) for name, value in row.items()}
        for row in fields.to_dict("records")
    ]


def _value(value: object) -> Value:
    if pd.isna(value):  # type: ignore[call-overload]  # its stubs know no object
        return None
    return value if isinstance(value, str) else int(value)  # type: ignore[call-overload]
