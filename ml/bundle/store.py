"""Finds bundles by their version, and keeps verified copies of bundles in a folder."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ml.bundle.manifest import (
    MANIFEST,
    SEAL,
    BundleTampered,
    InvalidBundle,
    Manifest,
    VersionMissing,
    read_manifest,
    stated_version,
    verified,
)
from ml.bundle.reader import Bundle, read_bundle


def find_bundle(current: Path, version: str, *, store: Path | None = None) -> Bundle:
    """Find the bundle of a version: in the folder in use, beside it, or in a store.

    Parameters
    ----------
    current : Path
        The folder of the bundle in use. The folders beside it are searched too.
    version : str
    store : Path, optional
        Another folder that holds bundles, searched last.

    Returns
    -------
    Bundle
        The first usable bundle that states the version.

    Raises
    ------
    VersionMissing
        No bundle in these folders states the version.
    InvalidBundle
        Every bundle that states the version is invalid; the error is that of the first one.
    """
    folders = [folder for folder in (current.parent, store) if folder]
    # Hidden folders are skipped: they are being written, or were left incomplete.
    manifests = [m for folder in folders for m in sorted(folder.glob(f"[!.]*/{MANIFEST}"))]
    first_error: InvalidBundle | None = None
    for manifest in dict.fromkeys((current / MANIFEST, *manifests)):
        if stated_version(manifest.parent) != version:
            continue
        try:
            return read_bundle(manifest.parent, past=True)
        except InvalidBundle as error:
            first_error = first_error or error
    raise first_error or VersionMissing(
        f"no bundle of version {version} in {' or '.join(map(str, folders))}"
    )


def keep_bundle(directory: Path, store: Path, *, check: Callable[[Path], None]) -> tuple[Path, str]:
    """Keep a checked copy of a bundle in a store.

    The copy's folder is named after the bundle's version; if another bundle has that name, the
    beginning of the digest is appended. A damaged copy of the same bundle is replaced. A file lock
    lets only one process at a time write to the store.

    Parameters
    ----------
    directory : Path
        The folder of the bundle.
    store : Path
        The folder to copy into, created if missing.
    check : callable
        Given the folder of the copy, raises an exception if it must not be kept. It is called
        before a new copy gets its name, and for a copy that exists already.

    Returns
    -------
    folder : Path
        The folder of the copy.
    digest : str
        The digest of the bundle and its copy.

    Raises
    ------
    InvalidBundle
        The bundle is damaged, or cannot be copied.
    """
    try:
        with _locked(store):
            manifest, digest = read_manifest(directory)
            _verify_files(directory, manifest)
            folder = _folder_for(store, manifest.version, digest)
            if _is_whole(folder, digest):
                check(folder)
            else:
                _add_copy(directory, folder, manifest, digest, check)
            return folder, digest
    except OSError as error:
        raise InvalidBundle(f"{error.filename or store}: {error.strerror or error}") from error


@contextmanager
def _locked(store: Path) -> Iterator[None]:
    store.mkdir(parents=True, exist_ok=True)
    with (store / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _verify_files(directory: Path, manifest: Manifest) -> None:
    for name in manifest.files:
        verified(directory, manifest, name)


def _folder_for(store: Path, version: str, digest: str) -> Path:
    """Return the folder of a bundle's copy, which may not exist yet."""
    folder = store / version
    if not folder.exists() or _is_copy(folder, digest):
        return folder
    return store / f"{version}-{digest[:8]}"


def _is_copy(folder: Path, digest: str) -> bool:
    """Return whether a folder holds a copy, whole or damaged, of the bundle with that digest."""
    with suppress(OSError):
        if (folder / SEAL).read_bytes().startswith(digest.encode()):
            return True
    with suppress(OSError):
        return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest() == digest
    return False


def _is_whole(folder: Path, digest: str) -> bool:
    try:
        manifest, folder_digest = read_manifest(folder)
        _verify_files(folder, manifest)
    except InvalidBundle:
        return False
    return folder_digest == digest


def _add_copy(
    directory: Path,
    folder: Path,
    manifest: Manifest,
    digest: str,
    check: Callable[[Path], None],
) -> None:
    """Copy a bundle to a hidden folder, check the copy, and rename it."""
    new, damaged = folder.parent / ".new", folder.parent / ".damaged"
    for leftover in (new, damaged):  # of a process that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        for name in (*manifest.files, MANIFEST, SEAL):
            _copy_file(directory / name, new / name)
        if not _is_whole(new, digest):
            raise BundleTampered(f"{directory}: changed while it was being copied")
        check(new)
        if folder.exists():
            os.replace(folder, damaged)
        os.replace(new, folder)
    finally:
        for leftover in (new, damaged):
            shutil.rmtree(leftover, ignore_errors=True)


def _copy_file(source: Path, copy: Path) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as content, copy.open("xb") as file:
        shutil.copyfileobj(content, file)
        file.flush()
        os.fsync(file.fileno())  # else a power cut may leave an empty file in a renamed copy
