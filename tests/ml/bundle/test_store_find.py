"""Tests of ml/bundle/store.py: finding a bundle."""

import shutil
from pathlib import Path

import pytest

from ml.bundle.manifest import (
    BACKGROUND,
    MANIFEST,
    SEAL,
    BundleTampered,
    VersionMissing,
    versions,
)
from ml.bundle.store import find_bundle
from tests.ml.bundle.damage import error_of, state, state_version, stated


def test_find_current_bundle(bundle):
    assert find_bundle(bundle.directory, bundle.version).digest == bundle.digest


@pytest.fixture
def kept(copy):
    """A bundle of another version beside the copy."""
    folder = Path(shutil.copytree(copy, copy.parent / "kept"))
    state(folder, cost_ratio=2.5)
    state_version(folder)
    return folder


@pytest.fixture
def other(kept):
    """The version of the bundle beside the copy."""
    return stated(kept)["version"]


def test_find_kept_bundle(copy, kept, other):
    found = find_bundle(copy, other)
    assert (found.directory, found.version) == (kept, other)
    assert find_bundle(copy, stated(copy)["version"]).directory == copy
    assert find_bundle(kept, stated(copy)["version"]).directory == copy


def test_find_kept_bundle_of_other_versions(copy, kept, other):
    state(kept, versions=versions() | {"numpy": "1.0"})
    assert find_bundle(copy, other).directory == kept


def test_find_no_bundle_of_that_version(copy, kept):
    with pytest.raises(VersionMissing) as raised:
        find_bundle(copy, "svc_linear-never")
    assert str(raised.value) == f"no bundle of version svc_linear-never in {copy.parent}"


def test_find_in_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(VersionMissing):
        find_bundle(tmp_path / "models" / "current", "svc_linear-before")


GARBAGE = {
    "empty": b"",
    "no JSON": b"{",
    "no UTF-8": b"\xff",
    "a list": b"[]",
    "null": b"null",
    "deeply nested": b"[" * 100_000,
    "without a version": b"{}",
}


@pytest.mark.parametrize("case", GARBAGE)
def test_find_passes_over_garbage(copy, kept, other, case):
    neighbour = copy.parent / "another"  # looked at before the one that is kept
    neighbour.mkdir()
    (neighbour / MANIFEST).write_bytes(GARBAGE[case])
    (copy.parent / "a file").write_text("no folder")
    (copy.parent / "b").mkdir()
    (copy.parent / "c" / MANIFEST).mkdir(parents=True)
    assert find_bundle(copy, other).directory == kept
    (copy / MANIFEST).write_bytes(GARBAGE[case])
    assert find_bundle(copy, other).directory == kept


def test_find_passes_over_a_folder_left_half_written(copy, kept, other):
    half = Path(shutil.copytree(kept, copy.parent / ".copy-x1"))
    (half / SEAL).unlink()
    assert find_bundle(copy, other).directory == kept


def test_find_bundle_that_cannot_be_used(copy, kept, other):
    (kept / BACKGROUND).write_bytes(b"[]")
    error_of(kept, BundleTampered, lambda: find_bundle(copy, other))
