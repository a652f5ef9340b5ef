"""Computes the version of a bundle: a hash of everything that affects its decisions and reasons."""

import hashlib
import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ml.bundle.facts import Facts
from ml.bundle.manifest import ARRAYS, BACKGROUND, NOVELTY, PRODUCT

HASHED_DECIMALS = 6  # our own choice, far from the differences between processors: see below
_HASHED_FACTS = {"product", "champion", "threshold", "cost_ratio", "ranges", "known_answers"}


def version_of(facts: Facts, files: Mapping[str, bytes]) -> str:
    """Return the version of a bundle.

    Two bundles that decide and explain in the same way have the same version. Known answers, arrays
    and the calibration in a layout are rounded to `HASHED_DECIMALS` decimals before they are
    hashed, because processors differ in the last digits (by 4.5e-13 with and without AVX2).

    Arrays are hashed, not the files that hold them, because the layout of a zip archive depends on
    the version of Python. The bytes of a pickle depend on it too. A challenger without an array
    form is therefore identified by its normalisation and its known answers, which
    `ml.bundle.verify` computes again.

    Parameters
    ----------
    facts : Facts
    files : mapping of str to bytes
        The content of each file by its path in the bundle.

    Returns
    -------
    str
        The champion's name and the first 8 hexadecimal digits of a SHA-256.

    Raises
    ------
    ValueError
        A file of arrays cannot be read.
    """
    stated = facts.model_dump(mode="json", include=_HASHED_FACTS)
    stated["known_answers"] = _rounded(stated["known_answers"])
    digest = hashlib.sha256(json.dumps(stated, sort_keys=True).encode())
    for name in (PRODUCT, BACKGROUND):
        digest.update(f"{name} {len(files[name])} ".encode() + files[name])
    challengers = (n for n in files if n.startswith("challengers/") and n.endswith(".npz"))
    for name in (ARRAYS, NOVELTY, *sorted(challengers)):
        for part, array in _arrays(name, files[name]).items():
            digest.update(f"{name} {part} {array.dtype.str} {array.shape} ".encode())
            digest.update(array.tobytes())
    return f"{facts.champion}-{digest.hexdigest()[:8]}"


def _rounded(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Round every float within a JSON value."""
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    # + 0.0, because the text of -0.0 differs from that of 0.0.
    return round(value, HASHED_DECIMALS) + 0.0 if isinstance(value, float) else value


def _arrays(name: str, content: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of a file, rounded."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {part: _rounded_array(arrays[part]) for part in sorted(arrays.files)}
    except Exception as error:  # NumPy and zipfile raise many kinds
        raise ValueError(f"{name}: {error}") from error


def _rounded_array(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind == "U":  # a layout: JSON that contains the calibration
        return np.array(json.dumps(_rounded(json.loads(str(array)))))
    return array.round(HASHED_DECIMALS) + 0.0 if array.dtype.kind == "f" else array
