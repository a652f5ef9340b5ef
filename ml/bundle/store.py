"""The store of bundles side by side: finding one by its version, and keeping a checked copy."""

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


def find_bundle(current: Path, version: str, *, kept: Path | None = None) -> Bundle:
    """Find the bundle of a version: the one in use, or one kept side by side with others.

    Parameters
    ----------
    current : Path
        The folder of the bundle in use. Those beside it are looked at too.
    version : str
    kept : Path, optional
        Another folder that holds bundles side by side.

    Returns
    -------
    Bundle
        The first that can be used of those that state the version.

    Raises
    ------
    VersionMissing
        No folder there says that it holds that version.
    InvalidBundle
        Some do, but none of them can be used; the message is about the first.
    """
    places = [place for place in (current.parent, kept) if place]
    # A hidden folder is one that is just being written, or was left half written.
    beside = [m for place in places for m in sorted(place.glob(f"[!.]*/{MANIFEST}"))]
    damage: InvalidBundle | None = None
    for manifest in dict.fromkeys((current / MANIFEST, *beside)):
        if stated_version(manifest.parent) != version:
            continue
        try:
            return read_bundle(manifest.parent, past=True)
        except InvalidBundle as error:
            damage = damage or error
    raise damage or VersionMissing(
        f"no bundle of version {version} in {' or '.join(map(str, places))}"
    )


def keep_bundle(directory: Path, kept: Path, *, check: Callable[[Path], None]) -> tuple[Path, str]:
    """Keep a checked copy of a bundle in a folder that holds bundles side by side.

    The copy is named after the bundle's version. Where another bundle has that name, the beginning
    of the digest is added; a damaged copy of the same bundle is replaced. Processes that keep
    bundles in one folder wait for one another.

    Parameters
    ----------
    directory : Path
        Of the bundle.
    kept : Path
        Made where it is not there.
    check : callable
        Given the folder of the copy, raises an exception for one that must not be kept. It is
        called before the copy gets its name, and again for a copy that was there already.

    Returns
    -------
    folder : Path
        Of the copy.
    digest : str
        Of the bundle and its copy.

    Raises
    ------
    InvalidBundle
        The bundle is not whole, or cannot be copied there.
    """
    try:
        with _locked(kept):
            manifest, digest = read_manifest(directory)
            _verify_files(directory, manifest)
            folder = _folder_for(kept, manifest.version, digest)
            if _is_whole(folder, digest):
                check(folder)
            else:
                _add_copy(directory, folder, manifest, digest, check)
            return folder, digest
    except OSError as error:
        raise InvalidBundle(f"{error.filename or kept}: {error.strerror or error}") from error


@contextmanager
def _locked(kept: Path) -> Iterator[None]:
    kept.mkdir(parents=True, exist_ok=True)
    with (kept / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _verify_files(directory: Path, manifest: Manifest) -> None:
    for name in manifest.files:
        verified(directory, manifest, name)


def _folder_for(kept: Path, version: str, digest: str) -> Path:
    """Return where a bundle's copy is or shall be."""
    folder = kept / version
    if not folder.exists() or _is_copy(folder, digest):
        return folder
    return kept / f"{version}-{digest[:8]}"


def _is_copy(folder: Path, digest: str) -> bool:
    """Whether the manifest in a folder is the one of that digest, or was before a damage."""
    with suppress(OSError):
        if (folder / SEAL).read_bytes().startswith(digest.encode()):
            return True
    with suppress(OSError):
        return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest() == digest
    return False


def _is_whole(folder: Path, digest: str) -> bool:
    try:
        manifest, there = read_manifest(folder)
        _verify_files(folder, manifest)
    except InvalidBundle:
        return False
    return there == digest


def _add_copy(
    directory: Path,
    folder: Path,
    manifest: Manifest,
    digest: str,
    check: Callable[[Path], None],
) -> None:
    """Copy a bundle under a hidden name, check the copy there, and give it its own name."""
    new, damaged = folder.parent / ".new", folder.parent / ".damaged"
    for left in (new, damaged):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    try:
        for name in (*manifest.files, MANIFEST, SEAL):
            _copy_file(directory / name, new / name)
        if not _is_whole(new, digest):
            raise BundleTampered(f"{directory}: changed while it was copied")
        check(new)
        if folder.exists():
            os.replace(folder, damaged)
        os.replace(new, folder)
    finally:
        for left in (new, damaged):
            shutil.rmtree(left, ignore_errors=True)


def _copy_file(source: Path, copy: Path) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as content, copy.open("xb") as file:
        shutil.copyfileobj(content, file)
        file.flush()
        os.fsync(file.fileno())  # a power cut must not leave an empty file in a named copy
