"""A bundle's manifest: what every bundle says of itself, and the proof that its files are whole."""

import hashlib
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, StringConstraints, ValidationError, model_validator

from ml.bundle.facts import Facts, Sha256
from ml.product.files import first_error

MANIFEST = "manifest.json"
SEAL = "manifest.sha256"
CHAMPION = "model.joblib"
ARRAYS = "scorer.npz"
PRODUCT = "product.toml"
BACKGROUND = "background.json"
NOVELTY = "novelty.npz"
CARD = "card.json"
_FILES = (CHAMPION, ARRAYS, PRODUCT, BACKGROUND, NOVELTY, CARD)
FORMAT = 7  # of the folder; a new one for whatever an older reader would take for something else
_SEGMENT = "[A-Za-z0-9_][A-Za-z0-9_.-]*"
FileName = Annotated[str, StringConstraints(pattern=f"^{_SEGMENT}(/{_SEGMENT})*$")]
Version = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}-[0-9a-f]{8}$")]
KNOWN_ANSWER_TOLERANCE = 1e-9  # float64 leaves about 1e-15 between two ways of computing one


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


class Manifest(Facts):
    """What ``manifest.json`` states: the facts, and the files that they are about.

    Attributes
    ----------
    format : int
        Of the folder; `FORMAT` in every manifest that is read.
    version : str
        The champion's name and the beginning of a hash, as `ml.bundle.version` computes it.
    versions : dict of str to str
        Those of `versions` at training.
    files : dict of str to str
        The SHA-256 of each file of the bundle.
    """

    format: int
    version: Version
    versions: dict[str, str]
    files: dict[FileName, Sha256]

    @property
    def challengers(self) -> list[str]:
        """The names of the candidates that do not decide."""
        return [row.name for row in self.table if challenger_files(row.name)[0] in self.files]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        for part, names in (("files", _FILES), ("versions", tuple(versions()))):
            lacking = [name for name in names if name not in getattr(self, part)]
            if lacking:
                raise ValueError(f"{part} lacks {lacking[0]}")
        for known in self.known_answers:
            for name in self.challengers:
                if name not in known.challengers:
                    raise ValueError(f"a known answer lacks the challenger {name}")
        if self.champion not in {row.name for row in self.table} & self.settings.keys():
            raise ValueError(f"{self.champion} is no candidate with settings")
        return self


class _Formatted(BaseModel):
    """Any manifest, of whatever format."""

    format: object = None


class _Versioned(BaseModel):
    """Any manifest whose version can name a folder."""

    version: Annotated[str, StringConstraints(pattern=f"^{_SEGMENT}$")]


def stated_version(directory: Path) -> str | None:
    """Return the version that a bundle states, without reading the rest of it.

    Parameters
    ----------
    directory : Path

    Returns
    -------
    str or None
        None where there is no manifest, or none with a version that can name a folder.
    """
    try:
        content = (directory / MANIFEST).read_bytes()
        return _Versioned.model_validate_json(content).version
    except (OSError, ValidationError):
        return None


def read_manifest(directory: Path) -> tuple[Manifest, str]:
    """Read a manifest whose seal holds.

    Parameters
    ----------
    directory : Path
        Of a bundle.

    Returns
    -------
    manifest : Manifest
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
        if _Formatted.model_validate_json(content).format != FORMAT:
            raise BundleForeign(
                f"{directory}: written by another version of Loan Desk; train it again"
            )
        return Manifest.model_validate_json(content), digest


def refuse_other_versions(directory: Path, manifest: Manifest) -> None:
    """Refuse a bundle whose pickles belong to other versions.

    Parameters
    ----------
    directory : Path
    manifest : Manifest

    Raises
    ------
    BundleForeign
    """
    for name, here in versions().items():
        trained = manifest.versions[name]
        if trained != here:
            raise BundleForeign(
                f"{directory}: trained under {name} {trained}, but {here} is installed; "
                "train it again"
            )


def verified(directory: Path, manifest: Manifest, name: str) -> bytes:
    """Read a file of a bundle, if it is the one that was written.

    Parameters
    ----------
    directory : Path
    manifest : Manifest
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
    if name not in manifest.files:  # nothing else is opened, whatever the name
        raise BundleMissing(f"{directory / name}: not in {MANIFEST}")
    content = _read(directory / name)
    if hashlib.sha256(content).hexdigest() != manifest.files[name]:
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
        raise BundleTampered(f"{path}: {' '.join(_reason(error).split())}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"lacks {error}"
    if isinstance(error, ValidationError):
        return first_error(error)
    return str(error) or repr(error)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BundleMissing(f"{path}: not there") from None
    except OSError as error:
        raise BundleMissing(f"{path}: {error.strerror}") from error
