"""The store of bundles side by side: finding one by its version, and keeping a copy."""

import json
import os
import shutil
import tempfile
from pathlib import Path

from ml.bundle.manifest import MANIFEST, VersionMissing
from ml.bundle.reader import Bundle, read_bundle
from ml.bundle.writer import _version


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

    Raises
    ------
    VersionMissing
        No folder there says that it holds that version.
    InvalidBundle
        One does, but cannot be used.
    """
    places = [place for place in (current.parent, kept) if place]
    # A hidden folder is one that is just being written, or was left half written.
    beside = [m for place in places for m in sorted(place.glob(f"[!.]*/{MANIFEST}"))]
    for manifest in (current / MANIFEST, *beside):
        try:
            said = json.loads(manifest.read_bytes()).get("version")
        except (OSError, ValueError, AttributeError, RecursionError):
            continue  # whatever it is, it does not say that it is the one
        if said == version:
            return read_bundle(manifest.parent, past=True)
    raise VersionMissing(f"no bundle of version {version} in {' or '.join(map(str, places))}")


def keep_bundle(directory: Path, kept: Path) -> None:
    """Copy a bundle to a folder that keeps them side by side, by their versions.

    Parameters
    ----------
    directory : Path
        Of a bundle that has been verified.
    kept : Path

    Raises
    ------
    OSError
        It cannot be written there.
    """
    version = _version(directory)
    if version is None or (kept / version).exists():
        return
    kept.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{version}-", dir=kept))
    shutil.copytree(directory, new, dirs_exist_ok=True)
    try:
        os.replace(new, kept / version)
    except OSError:  # another start was first
        shutil.rmtree(new, ignore_errors=True)
