"""A bundle: a trained model on disk with all that is needed to check it and to use it."""

import hashlib
import io
import json
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ml.product import Product, parse_product
from ml.scorer import Frame, Scorer

MANIFEST = "manifest.json"
SEAL = "manifest.sha256"
CHAMPION = "model.joblib"
ARRAYS = "scorer.npz"
PRODUCT = "product.toml"
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_STATED = {  # what every manifest says, by the kind of value
    str: ("product", "champion", "scorer", "rule", "reason", "threshold_from", "version"),
    int | float: ("threshold", "cost_ratio"),
    dict: ("versions", "files", "data", "settings", "effort"),
    list: ("table", "known_answers"),
}
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
    refuse_foreign(directory)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    text = json.dumps(
        {**manifest, "versions": versions(), "files": hashes}, indent=2, sort_keys=True
    )
    content = text.encode() + b"\n"
    seal = f"{hashlib.sha256(content).hexdigest()}  {MANIFEST}\n".encode()
    new = None
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
        for name, data in {**files, MANIFEST: content, SEAL: seal}.items():
            (new / name).parent.mkdir(exist_ok=True)
            (new / name).write_bytes(data)
        new.chmod(0o755)
        if directory.exists():
            _put_in_place_of(directory, new)
        else:
            os.replace(new, directory)
    except OSError as error:
        if new is not None:
            shutil.rmtree(new, ignore_errors=True)
        raise InvalidBundle(f"{directory}: {error.strerror or error}") from error


def _put_in_place_of(directory: Path, new: Path) -> None:
    """Let a new directory take the place of one that is there, or leave that where it was."""
    old = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        os.replace(directory, old)
    except OSError:
        old.rmdir()
        raise
    try:
        os.replace(new, directory)
    except OSError:
        os.replace(old, directory)
        raise
    shutil.rmtree(old, ignore_errors=True)


def refuse_foreign(directory: Path) -> None:
    """Refuse a place for a bundle where something else already is.

    Parameters
    ----------
    directory : Path

    Raises
    ------
    InvalidBundle
        It is a file, cannot be read, or holds files but not those of a bundle.
    """
    try:
        held = {path.name for path in directory.iterdir()}
    except FileNotFoundError:
        return
    except OSError as error:
        raise InvalidBundle(f"{directory}: {error.strerror or error}") from error
    if held and not held >= {MANIFEST, SEAL}:
        raise InvalidBundle(f"{directory}: holds something else than a bundle; nothing was written")


def read_bundle(directory: Path) -> Bundle:
    """Verify a bundle and read what is needed to score with it.

    Every file's hash is compared before anything in it is looked at. Only a champion without an
    array form is unpickled, and only after that.

    Parameters
    ----------
    directory : Path

    Returns
    -------
    Bundle

    Raises
    ------
    BundleMissing
        A file is not there or cannot be read.
    BundleTampered
        A file is not the one that was written, or does not hold what it must.
    BundleForeign
        It was trained under other versions.
    """
    content = _read(directory / MANIFEST)
    digest = hashlib.sha256(content).hexdigest()
    if _read(directory / SEAL) != f"{digest}  {MANIFEST}\n".encode():
        raise BundleTampered(f"{directory / MANIFEST}: its hash is not the one in {SEAL}")
    with _understood(directory / MANIFEST):
        manifest = _checked(json.loads(content))
    for name, here in versions().items():
        trained = manifest["versions"][name]
        if trained != here:
            raise BundleForeign(
                f"{directory}: trained under {name} {trained}, but {here} is installed; "
                "train it again"
            )
    files = {name: _verified(directory, manifest, name) for name in manifest["files"]}
    with _understood(directory / PRODUCT):
        product = parse_product(files[PRODUCT].decode(), source=PRODUCT)
    pipeline = None
    if manifest["scorer"] == "pipeline":
        with _understood(directory / CHAMPION):
            pipeline = load_pipeline(files[CHAMPION])
    with _understood(directory / ARRAYS):
        scorer = Scorer(files[ARRAYS], pipeline=pipeline)
        if scorer.kind != manifest["scorer"]:
            raise ValueError(f"a scorer of the kind {scorer.kind}, not {manifest['scorer']}")
    return Bundle(directory, manifest, digest, product, scorer)


def load_pipeline(content: bytes) -> Callable[[Frame], np.ndarray]:
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
    # Imported here: these cost a web worker more memory than all the rest, and most need none.
    import joblib  # noqa: PLC0415 - see above
    import pandas as pd  # noqa: PLC0415 - see above

    model = joblib.load(io.BytesIO(content))

    def probabilities(frame: Any) -> np.ndarray:  # noqa: ANN401 - whatever pandas makes a frame of
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
    BundleMissing
        The pipeline is no longer there.
    BundleTampered
        The pipeline has changed since the bundle was read, or an answer differs from the known one
        by more than `TOLERANCE`.
    """
    content = _verified(bundle.directory, bundle.manifest, CHAMPION)
    with _understood(bundle.directory / MANIFEST):
        known = bundle.manifest["known_answers"]
        applications = [
            {f.name: k["application"][f.name] for f in bundle.product.inputs} for k in known
        ]
        expected = np.array([k["probability"] for k in known], dtype=np.float64)
        frame = {name: [a[name] for a in applications] for name in applications[0]}
    found = {}
    with _understood(bundle.directory / CHAMPION):
        found[CHAMPION] = load_pipeline(content)(frame)
    with _understood(bundle.directory / ARRAYS):
        found[ARRAYS] = bundle.scorer.score_many(frame)
        one_by_one = [bundle.scorer.score(a).probability for a in applications]
        found[f"{ARRAYS}, one by one"] = np.array(one_by_one)
    for name, answers in found.items():
        difference = float(np.abs(answers - expected).max())
        if not difference <= TOLERANCE:
            raise BundleTampered(
                f"{bundle.directory / name}: a known answer differs by {difference:.2g}"
            )


def _checked(manifest: object) -> dict[str, Any]:
    """Return a manifest that says all it must, or raise a ValueError, KeyError or the like."""
    if not isinstance(manifest, dict):
        raise ValueError("not a JSON object")
    for kind, keys in _STATED.items():
        wrong = [key for key in keys if not isinstance(manifest[key], kind)]
        if wrong:
            raise ValueError(f"{wrong[0]} is not of the right kind")
    if not 0 <= manifest["threshold"] <= 1:
        raise ValueError("the threshold is no probability")
    outside = [name for name in manifest["files"] if not _FILE.fullmatch(name)]
    if outside:
        raise ValueError(f"{outside[0]!r} is no file of a bundle")
    for part, names in {
        "files": (CHAMPION, ARRAYS, PRODUCT),
        "versions": tuple(versions()),
    }.items():
        lacking = [name for name in names if name not in manifest[part]]
        if lacking:
            raise ValueError(f"{part} lacks {lacking[0]}")
    return manifest


def _verified(directory: Path, manifest: dict[str, Any], name: str) -> bytes:
    content = _read(directory / name)
    if hashlib.sha256(content).hexdigest() != manifest["files"][name]:
        raise BundleTampered(f"{directory / name}: its hash is not the one in {MANIFEST}")
    return content


@contextmanager
def _understood(path: Path) -> Iterator[None]:
    """Turn whatever a file breaks into one line: its hash fits, but what it holds does not."""
    try:
        yield
    except Exception as error:
        said = f"lacks {error}" if isinstance(error, KeyError) else str(error) or repr(error)
        words = " ".join(said.split())
        raise BundleTampered(f"{path}: {words}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BundleMissing(f"{path}: not there") from None
    except OSError as error:
        raise BundleMissing(f"{path}: {error.strerror}") from error
