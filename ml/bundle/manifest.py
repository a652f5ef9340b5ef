"""A bundle's manifest: what every bundle says of itself, and the proof that its files are whole."""

import hashlib
import json
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
SEAL = "manifest.sha256"
CHAMPION = "model.joblib"
ARRAYS = "scorer.npz"
PRODUCT = "product.toml"
BACKGROUND = "background.json"
NOVELTY = "novelty.npz"
CARD = "card.json"
_FILES = (CHAMPION, ARRAYS, PRODUCT, BACKGROUND, NOVELTY, CARD)
FORMAT = 2  # of the folder; a new one for whatever an older reader would take for something else
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_STATED = {  # what every manifest says, by the kind of value
    str: ("product", "champion", "scorer", "threshold_from", "version"),
    int | float: ("threshold", "cost_ratio"),
    dict: ("rule", "reason", "versions", "files", "data", "settings", "effort", "ranges"),
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


class VersionMissing(InvalidBundle):
    """There is no bundle of that version here."""


def versions() -> dict[str, str]:
    """Return the versions that a pickled model depends on, as installed here.

    Returns
    -------
    dict of str to str
    """
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python, "numpy": version("numpy"), "scikit-learn": version("scikit-learn")}


def challenger_files(name: str) -> tuple[str, str]:
    """Return where a bundle keeps a candidate that does not decide.

    Parameters
    ----------
    name : str

    Returns
    -------
    (str, str)
        Its pipeline and its arrays.
    """
    return f"challengers/{name}.joblib", f"challengers/{name}.npz"


def challenger_names(manifest: dict[str, Any]) -> list[str]:
    """Return the names of a bundle's candidates that do not decide.

    Parameters
    ----------
    manifest : dict

    Returns
    -------
    list of str
    """
    names = (row["name"] for row in manifest["table"])
    return [name for name in names if challenger_files(name)[0] in manifest["files"]]


def read_manifest(directory: Path) -> tuple[dict[str, Any], str]:
    """Read a manifest whose seal holds.

    Parameters
    ----------
    directory : Path
        Of a bundle.

    Returns
    -------
    manifest : dict
    digest : str
        SHA-256 of the file.

    Raises
    ------
    BundleMissing
        It is not there or cannot be read.
    BundleTampered
        It is not the one that was written, or does not say what it must.
    BundleForeign
        It is of another format.
    """
    content = _read(directory / MANIFEST)
    digest = hashlib.sha256(content).hexdigest()
    if _read(directory / SEAL) != f"{digest}  {MANIFEST}\n".encode():
        raise BundleTampered(f"{directory / MANIFEST}: its hash is not the one in {SEAL}")
    with understood(directory / MANIFEST):
        return _checked(json.loads(content), directory), digest


def refuse_other_versions(directory: Path, manifest: dict[str, Any]) -> None:
    """Refuse a bundle whose pickles belong to other versions.

    Parameters
    ----------
    directory : Path
    manifest : dict

    Raises
    ------
    BundleForeign
    """
    for name, here in versions().items():
        trained = manifest["versions"][name]
        if trained != here:
            raise BundleForeign(
                f"{directory}: trained under {name} {trained}, but {here} is installed; "
                "train it again"
            )


def verified(directory: Path, manifest: dict[str, Any], name: str) -> bytes:
    """Read a file of a bundle, if it is the one that was written.

    Parameters
    ----------
    directory : Path
    manifest : dict
    name : str
        As the manifest has it.

    Returns
    -------
    bytes

    Raises
    ------
    BundleMissing
        The manifest has no such file, it is not there or it cannot be read.
    BundleTampered
        Its hash is another.
    """
    if name not in manifest["files"]:  # nothing else is opened, whatever the name
        raise BundleMissing(f"{directory / name}: not in {MANIFEST}")
    content = _read(directory / name)
    if hashlib.sha256(content).hexdigest() != manifest["files"][name]:
        raise BundleTampered(f"{directory / name}: its hash is not the one in {MANIFEST}")
    return content


@contextmanager
def understood(path: Path) -> Iterator[None]:
    """Turn whatever a file breaks into one line: its hash fits, but what it holds does not.

    Parameters
    ----------
    path : Path
        What to call it.

    Raises
    ------
    BundleTampered
    """
    try:
        yield
    except InvalidBundle:
        raise
    except Exception as error:
        said = f"lacks {error}" if isinstance(error, KeyError) else str(error) or repr(error)
        words = " ".join(said.split())
        raise BundleTampered(f"{path}: {words}") from error


def _checked(manifest: object, directory: Path) -> dict[str, Any]:
    """Return a manifest that says all it must, or raise a ValueError, KeyError or the like."""
    if not isinstance(manifest, dict):
        raise ValueError("not a JSON object")
    if manifest.get("format") != FORMAT:
        raise BundleForeign(f"{directory}: written by another version of Loan Desk; train it again")
    _refuse_malformed(manifest)
    return manifest


def _refuse_malformed(manifest: dict[str, Any]) -> None:
    for kind, keys in _STATED.items():
        wrong = [key for key in keys if not isinstance(manifest[key], kind)]
        if wrong:
            raise ValueError(f"{wrong[0]} is not of the right kind")
    if not 0 <= manifest["threshold"] <= 1:
        raise ValueError("the threshold is no probability")
    outside = [name for name in manifest["files"] if not _FILE.fullmatch(name)]
    if outside:
        raise ValueError(f"{outside[0]!r} is no file of a bundle")
    for part, names in (("files", _FILES), ("versions", tuple(versions()))):
        lacking = [name for name in names if name not in manifest[part]]
        if lacking:
            raise ValueError(f"{part} lacks {lacking[0]}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BundleMissing(f"{path}: not there") from None
    except OSError as error:
        raise BundleMissing(f"{path}: {error.strerror}") from error
