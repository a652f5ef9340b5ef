"""Writing a bundle: whole or not at all, with the one before it kept beside it."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ml.bundle.facts import Facts
from ml.bundle.manifest import (
    FORMAT,
    MANIFEST,
    SEAL,
    InvalidBundle,
    Manifest,
    stated_version,
    versions,
)
from ml.bundle.version import version_of


def write_bundle(directory: Path, files: Mapping[str, bytes], facts: Facts) -> None:
    """Write a bundle, whole or not at all.

    Parameters
    ----------
    directory : Path
        A bundle of another version that it holds moves beside it, to a folder named after that
        version, so that its decisions can be computed again; one of the same version is replaced.
        Anything else there is an error.
    files : mapping of str to bytes
        By their paths in the bundle.
    facts : Facts
        The format, the version, the files' hashes and the versions of libraries are added.

    Raises
    ------
    InvalidBundle
        The directory holds something else than a bundle, or cannot be written.
    """
    refuse_foreign(directory)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    added = {
        "format": FORMAT,
        "version": version_of(facts, files),
        "versions": versions(),
        "files": hashes,
    }
    manifest = Manifest(**{**dict(facts), **added})
    text = json.dumps(manifest.model_dump(mode="json"), indent=2, sort_keys=True)
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
    """Let a new bundle take the place of one that is there, or leave that where it was."""
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
    version = stated_version(old)
    kept = directory.parent / (version or "")
    if version is None or version in (stated_version(directory), stated_version(kept)):
        shutil.rmtree(old, ignore_errors=True)
    else:
        if kept.exists():  # something else has that name
            kept = Path(tempfile.mkdtemp(prefix=f"{version}-", dir=directory.parent))
        os.replace(old, kept)


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
