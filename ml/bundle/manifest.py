"""The manifest of a bundle: facts about the model, and the hashes of the bundle's files."""

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
REFERENCE = "reference.json"
LABELLED = "labelled.npz"
_FILES = (CHAMPION, ARRAYS, PRODUCT, BACKGROUND, NOVELTY, CARD, REFERENCE, LABELLED)
FORMAT = 10  # of the bundle; increase it for any change that an older reader would misunderstand
_SEGMENT = "[A-Za-z0-9_][A-Za-z0-9_.-]*"
FileName = Annotated[str, StringConstraints(pattern=f"^{_SEGMENT}(/{_SEGMENT})*$")]
Version = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}-[0-9a-f]{8}$")]
# Two ways to compute a probability differ by about 1e-12 at most (docs/benchmarks.md); a different
# model differs by far more.
KNOWN_ANSWER_TOLERANCE = 1e-9


class InvalidBundle(Exception):
    """A bundle that must not be used; the message names the file and the reason in one line."""


class BundleMissing(InvalidBundle):
    """A file of the bundle does not exist or cannot be read."""


class BundleTampered(InvalidBundle):
    """A file of the bundle is not the one that was written."""


class BundleForeign(InvalidBundle):
    """The bundle has another format, or was trained with other versions than those installed."""


class VersionMissing(InvalidBundle):
    """No bundle of the version exists in the folders searched."""


def versions() -> dict[str, str]:
    """Return the installed versions that a pickled model depends on.

    Returns
    -------
    dict of str to str
        By the names ``python``, ``numpy`` and ``scikit-learn``.
    """
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python, "numpy": version("numpy"), "scikit-learn": version("scikit-learn")}


def challenger_files(name: str) -> tuple[str, str]:
    """Return the paths, in a bundle, of the files of a candidate that does not decide.

    Parameters
    ----------
    name : str
        The name of the candidate.

    Returns
    -------
    (str, str)
        The paths of its pipeline and of its arrays.
    """
    return f"challengers/{name}.joblib", f"challengers/{name}.npz"


class Manifest(Facts):
    """The content of ``manifest.json``: facts about the model, and the hashes of its files.

    Attributes
    ----------
    format : int
        The format of the bundle; `FORMAT` in every manifest that is read.
    version : str
        The version of the model, as `ml.bundle.version.version_of` computes it.
    versions : dict of str to str
        The result of `versions` at training.
    files : dict of str to str
        The SHA-256 of each file of the bundle by its path.
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
            raise ValueError(f"{self.champion} is not a candidate with settings")
        return self


class _Formatted(BaseModel):
    """The format of a manifest, without validation of the rest."""

    format: object = None


class _Versioned(BaseModel):
    """The version of a manifest, if it is a valid folder name, without validation of the rest."""

    version: Annotated[str, StringConstraints(pattern=f"^{_SEGMENT}$")]


def stated_version(directory: Path) -> str | None:
    """Return the version that a bundle's manifest states, without checking anything else.

    Parameters
    ----------
    directory : Path
        The folder of the bundle.

    Returns
    -------
    str or None
        None if there is no readable manifest, or its version is not a valid folder name.
    """
    try:
        content = (directory / MANIFEST).read_bytes()
        return _Versioned.model_validate_json(content).version
    except (OSError, ValidationError):
        return None


def read_manifest(directory: Path) -> tuple[Manifest, str]:
    """Read a manifest after comparing its hash with the seal.

    Parameters
    ----------
    directory : Path
        The folder of the bundle.

    Returns
    -------
    manifest : Manifest
    digest : str
        The SHA-256 of ``manifest.json``.

    Raises
    ------
    BundleMissing
        The manifest or the seal does not exist or cannot be read.
    BundleTampered
        The manifest is not the one that was written, or its content is invalid.
    BundleForeign
        The bundle has another format.
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
    """Refuse a bundle that was trained with other versions than those installed.

    Parameters
    ----------
    directory : Path
        The folder of the bundle, for the message.
    manifest : Manifest

    Raises
    ------
    BundleForeign
        A version differs.
    """
    for name, here in versions().items():
        trained = manifest.versions[name]
        if trained != here:
            raise BundleForeign(
                f"{directory}: trained with {name} {trained}, but {here} is installed; "
                "train it again"
            )


def verified(directory: Path, manifest: Manifest, name: str) -> bytes:
    """Read a file of a bundle and compare its hash with the manifest.

    Parameters
    ----------
    directory : Path
        The folder of the bundle.
    manifest : Manifest
    name : str
        The path of the file in the manifest.

    Returns
    -------
    bytes
        The content of the file.

    Raises
    ------
    BundleMissing
        The manifest does not list the file, or the file does not exist or cannot be read.
    BundleTampered
        The hash differs.
    """
    if name not in manifest.files:  # so that a name from a request cannot open any other file
        raise BundleMissing(f"{directory / name}: not in {MANIFEST}")
    content = _read(directory / name)
    if hashlib.sha256(content).hexdigest() != manifest.files[name]:
        raise BundleTampered(f"{directory / name}: its hash is not the one in {MANIFEST}")
    return content


@contextmanager
def understood(path: Path) -> Iterator[None]:
    """Turn any exception about the content of a file into an error of one line.

    Parameters
    ----------
    path : Path
        The file, for the message.

    Raises
    ------
    BundleTampered
        The block raised an exception that is not an `InvalidBundle`.
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
        raise BundleMissing(f"{path}: does not exist") from None
    except OSError as error:
        raise BundleMissing(f"{path}: {error.strerror}") from error
