"""Writes bundles atomically, and keeps the bundle that a new one replaces."""

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
    """Write a bundle atomically.

    Parameters
    ----------
    directory : Path
        The folder to write. If it holds a bundle of the same version, that bundle is deleted. If it
        holds a bundle of another version, that bundle is moved to a folder beside it, named after
        its version, so that its decisions can be replayed. Any other content is an error.
    files : mapping of str to bytes
        The content of each file by its path in the bundle.
    facts : Facts
        The facts of the manifest. The format, the version, the hashes of the files and the versions
        of the libraries are added.

    Raises
    ------
    InvalidBundle
        The directory holds something other than a bundle, or cannot be written.
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
            _replace(directory, new)
        else:
            os.replace(new, directory)
    except OSError as error:
        if new is not None:
            shutil.rmtree(new, ignore_errors=True)
        raise InvalidBundle(f"{directory}: {error.strerror or error}") from error


def _replace(directory: Path, new: Path) -> None:
    """Replace an existing bundle by a new one; on failure, leave the existing one in place."""
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
    archive = directory.parent / (version or "")
    if version is None or version in (stated_version(directory), stated_version(archive)):
        shutil.rmtree(old, ignore_errors=True)
    else:
        if archive.exists():  # it is not a bundle of that version, so it must not be overwritten
            archive = Path(tempfile.mkdtemp(prefix=f"{version}-", dir=directory.parent))
        os.replace(old, archive)


def refuse_foreign(directory: Path) -> None:
    """Refuse a directory that holds something other than a bundle.

    Parameters
    ----------
    directory : Path

    Raises
    ------
    InvalidBundle
        The path is a file or cannot be read, or the folder has files but no manifest and seal.
    """
    try:
        names = {path.name for path in directory.iterdir()}
    except FileNotFoundError:
        return
    except OSError as error:
        raise InvalidBundle(f"{directory}: {error.strerror or error}") from error
    if names and not names >= {MANIFEST, SEAL}:
        raise InvalidBundle(
            f"{directory}: holds something other than a bundle; nothing was written"
        )
