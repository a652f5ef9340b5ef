"""A bundle: a trained model on disk with all that is needed to check it and to use it."""

import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ml.product import Product, parse_product
from ml.scorer import Scorer

MANIFEST = "manifest.json"
SEAL = "manifest.sha256"
CHAMPION = "model.joblib"
ARRAYS = "scorer.npz"
PRODUCT = "product.toml"
TOLERANCE = 1e-9  # between a known answer and the same answer now; float64 leaves about 1e-15


class InvalidBundle(Exception):
    """A bundle that must not be used; the message says which file and why in one line."""


class BundleMissing(InvalidBundle):
    """A file of the bundle is not there."""


class BundleTampered(InvalidBundle):
    """A file of the bundle is not the one that was written."""


class BundleForeign(InvalidBundle):
    """The bundle was trained under other versions than those installed."""


@dataclass(frozen=True)
class Bundle:
    """A verified bundle.

    Attributes
    ----------
    directory : Path
    manifest : dict
        What ``manifest.json`` says.
    digest : str
        SHA-256 of ``manifest.json``; it stands for the whole bundle, whose hashes that file holds.
    product : Product
    scorer : Scorer
    """

    directory: Path
    manifest: dict[str, Any]
    digest: str
    product: Product
    scorer: Scorer

    @property
    def version(self) -> str:
        """The model's version: its kind and the beginning of its hash."""
        return str(self.manifest["version"])

    @property
    def threshold(self) -> float:
        """The probability of being good from which a loan is granted."""
        return float(self.manifest["threshold"])


def versions() -> dict[str, str]:
    """Return the versions that a pickled model depends on, as installed here.

    Returns
    -------
    dict of str to str
    """
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python, "numpy": version("numpy"), "scikit-learn": version("scikit-learn")}


def write_bundle(directory: Path, files: Mapping[str, bytes], manifest: dict[str, Any]) -> None:
    """Write a bundle, whole or not at all.

    Parameters
    ----------
    directory : Path
        Replaced if it holds a bundle; anything else there is an error.
    files : mapping of str to bytes
        By their paths in the bundle.
    manifest : dict
        What is known of the model. The files' hashes and the versions are added.

    Raises
    ------
    InvalidBundle
        The directory holds something else than a bundle, or cannot be written.
    """
    if directory.exists() and any(directory.iterdir()) and not (directory / MANIFEST).exists():
        raise InvalidBundle(f"{directory}: holds something else than a bundle; nothing was written")
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    text = json.dumps(
        {**manifest, "versions": versions(), "files": hashes}, indent=2, sort_keys=True
    )
    content = text.encode() + b"\n"
    seal = f"{hashlib.sha256(content).hexdigest()}  {MANIFEST}\n".encode()
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
        for name, data in {**files, MANIFEST: content, SEAL: seal}.items():
            (new / name).parent.mkdir(exist_ok=True)
            (new / name).write_bytes(data)
        new.chmod(0o755)
        if directory.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
            os.replace(directory, old)
            shutil.rmtree(old)
        os.replace(new, directory)
    except OSError as error:
        raise InvalidBundle(f"{directory}: {error.strerror or error}") from error


def read_bundle(directory: Path) -> Bundle:
    """Verify a bundle and read what is needed to score with it.

    Every file's hash is compared before anything in it is looked at. Only a champion without an array form is
    unpickled, and only after that.

    Parameters
    ----------
    directory : Path

    Returns
    -------
    Bundle

    Raises
    ------
    InvalidBundle
        One of its kinds, for whatever is wrong first.
    """
    content = _read(directory / MANIFEST)
    digest = hashlib.sha256(content).hexdigest()
    if _read(directory / SEAL) != f"{digest}  {MANIFEST}\n".encode():
        raise BundleTampered(f"{directory / MANIFEST}: its hash is not the one in {SEAL}")
    manifest = json.loads(content)
    for name, here in versions().items():
        trained = manifest["versions"][name]
        if trained != here:
            raise BundleForeign(
                f"{directory}: trained under {name} {trained}, but {here} is installed; train it again"
            )
    files = {}
    for name, expected in manifest["files"].items():
        files[name] = _read(directory / name)
        if hashlib.sha256(files[name]).hexdigest() != expected:
            raise BundleTampered(f"{directory / name}: its hash is not the one in {MANIFEST}")
    product = parse_product(files[PRODUCT].decode(), source=str(directory / PRODUCT))
    pipeline = None if manifest["scorer"] != "pipeline" else load_pipeline(files[CHAMPION])
    return Bundle(directory, manifest, digest, product, Scorer(files[ARRAYS], pipeline=pipeline))


def load_pipeline(content: bytes) -> Callable[[Mapping[str, Any]], np.ndarray]:
    """Unpickle a model whose hash has been verified.

    Parameters
    ----------
    content : bytes
        Of a ``.joblib`` file.

    Returns
    -------
    callable
        From raw fields to the probabilities of being good, an ndarray of shape (n_samples,).
    """
    import io  # noqa: PLC0415 - with the two below it costs a web worker more memory than all the rest

    import joblib  # noqa: PLC0415
    import pandas as pd  # noqa: PLC0415

    model = joblib.load(io.BytesIO(content))

    def probabilities(frame: Mapping[str, Any]) -> np.ndarray:
        good: np.ndarray = model.predict_proba(pd.DataFrame(frame))[:, 1]
        return good

    return probabilities


def replay(bundle: Bundle) -> None:
    """Compare the bundle's known answers with its pipeline's and its scorer's.

    Parameters
    ----------
    bundle : Bundle

    Raises
    ------
    BundleTampered
        An answer differs from the known one by more than `TOLERANCE`.
    """
    known = bundle.manifest["known_answers"]
    applications = [k["application"] for k in known]
    expected = np.array([k["probability"] for k in known])
    frame = {name: [a[name] for a in applications] for name in applications[0]}
    answers = {
        CHAMPION: load_pipeline(_read(bundle.directory / CHAMPION))(frame),
        ARRAYS: bundle.scorer.score_many(frame),
        f"{ARRAYS}, one by one": np.array(
            [bundle.scorer.score(a).probability for a in applications]
        ),
    }
    for name, found in answers.items():
        difference = float(np.abs(found - expected).max())
        if not difference <= TOLERANCE:
            raise BundleTampered(
                f"{bundle.directory / name}: a known answer differs by {difference:.2g}"
            )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BundleMissing(f"{path}: not there") from None
    except OSError as error:
        raise BundleMissing(f"{path}: {error.strerror}") from error
