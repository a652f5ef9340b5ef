"""Tests of ml/bundle/store.py: copies kept side by side."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from ml.bundle.manifest import (
    ARRAYS,
    MANIFEST,
    SEAL,
    BundleMissing,
    BundleTampered,
    InvalidBundle,
    VersionMissing,
)
from ml.bundle.reader import read_bundle
from ml.bundle.store import find_bundle, keep_bundle

KEEP = """
import sys
from pathlib import Path
from ml.bundle.store import keep_bundle
print(keep_bundle(Path(sys.argv[1]), Path(sys.argv[2]), check=lambda copy: None)[0])
"""


@pytest.fixture
def place(bundle, tmp_path):
    """A copy of the bundle's directory, for a test to change."""
    return Path(shutil.copytree(bundle.directory, tmp_path / "models" / "current"))


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


def keep(directory, store):
    return keep_bundle(directory, store, check=lambda copy: None)


def state(directory, **changes):
    """Change a manifest and its seal."""
    manifest = json.loads((directory / MANIFEST).read_bytes())
    content = json.dumps({**manifest, **changes}).encode()
    (directory / MANIFEST).write_bytes(content)
    (directory / SEAL).write_text(f"{hashlib.sha256(content).hexdigest()}  {MANIFEST}\n")


def names(folder):
    """Return the names in a folder, except the lock's."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_keep_leaves_a_copy_that_is_found(bundle, place, store):
    for _ in range(2):
        assert keep(place, store) == (store / bundle.version, bundle.digest)
        assert names(store) == [bundle.version]
        assert contents(store / bundle.version) == contents(bundle.directory)
    shutil.rmtree(place)
    found = find_bundle(place, bundle.version, store=store)
    assert (found.directory, found.digest) == (store / bundle.version, bundle.digest)


def test_keep_copies_what_the_manifest_names_and_nothing_else(bundle, place, store):
    (place / "notes.txt").write_text("mine")
    folder, _ = keep(place, store)
    assert contents(folder) == contents(bundle.directory)


def test_keep_two_bundles_of_one_version(bundle, place, store):
    keep(place, store)
    state(place, trained_at="2001-01-01T00:00:00+00:00")
    second, digest = keep(place, store)
    assert second == store / f"{bundle.version}-{digest[:8]}"
    assert names(store) == [bundle.version, second.name]
    assert read_bundle(store / bundle.version).digest == bundle.digest
    assert read_bundle(second).digest == digest != bundle.digest
    for directory, folder in ((place, second), (bundle.directory, store / bundle.version)):
        assert keep(directory, store)[0] == folder
    assert names(store) == [bundle.version, second.name]


def changed(folder):
    (folder / ARRAYS).write_bytes(b"other")


def without_file(folder):
    (folder / ARRAYS).unlink()


def without_manifest(folder):
    (folder / MANIFEST).unlink()


def without_seal(folder):
    (folder / SEAL).unlink()


def cut_short(folder):
    (folder / SEAL).write_bytes(b"")


@pytest.mark.parametrize(
    "damage", [changed, without_file, without_manifest, without_seal, cut_short]
)
def test_keep_replaces_a_damaged_copy(bundle, place, store, damage):
    folder, _ = keep(place, store)
    damage(folder)
    assert keep(place, store)[0] == folder
    assert names(store) == [bundle.version]
    assert contents(folder) == contents(bundle.directory)


def test_keep_leaves_a_damaged_copy_of_another_bundle(bundle, place, store):
    folder, _ = keep(place, store)
    changed(folder)
    state(place, trained_at="2001-01-01T00:00:00+00:00")
    second, _ = keep(place, store)
    assert names(store) == [bundle.version, second.name]
    assert (folder / ARRAYS).read_bytes() == b"other"


@pytest.mark.parametrize(
    ("damage", "kind"), [(changed, BundleTampered), (without_file, BundleMissing)]
)
@pytest.mark.parametrize("again", [True, False])
def test_keep_a_damaged_bundle(bundle, place, store, damage, kind, again):
    if again:
        keep(place, store)
    damage(place)
    with pytest.raises(kind, match=str(place / ARRAYS)):
        keep(place, store)
    assert names(store) == ([bundle.version] if again else [])


def test_keep_nothing_that_the_check_refuses(bundle, place, store):
    checked = []

    def refuse(copy):
        checked.append(copy)
        assert contents(copy) == contents(bundle.directory)
        raise BundleTampered("no")

    for there in ([], [bundle.version]):
        with pytest.raises(BundleTampered, match=r"^no$"):
            keep_bundle(place, store, check=refuse)
        assert names(store) == there
        keep(place, store)
    assert [copy.name for copy in checked] == [".new", bundle.version]


def test_keep_goes_on_after_a_process_that_was_killed(bundle, place, store):
    for left in (".new", ".damaged"):
        (store / left / "plots").mkdir(parents=True)
        (store / left / MANIFEST).write_text("half of a")
    keep(place, store)
    assert names(store) == [bundle.version]


@pytest.mark.parametrize("version", ["../up", "", "a/b", ".hidden", "\x00"])
def test_keep_a_version_that_cannot_name_a_folder(place, store, version):
    state(place, version=version)
    with pytest.raises(BundleTampered, match=str(place)):
        keep(place, store)
    assert names(store) == []


def test_keep_where_nothing_can_be_written(place, store):
    store.write_text("mine")
    with pytest.raises(InvalidBundle, match=str(store)):
        keep(place, store)
    assert store.read_text() == "mine"


@pytest.mark.parametrize("there", ["nothing", "a damaged copy", "another bundle"])
def test_keep_by_several_processes_at_once(forks, bundle, place, store, there):
    expected = store / bundle.version
    if there == "a damaged copy":
        changed(keep(place, store)[0])
    elif there == "another bundle":
        keep(place, store)
        state(place, trained_at="2001-01-01T00:00:00+00:00")
        expected = store / f"{bundle.version}-{read_bundle(place).digest[:8]}"
    command = ["-c", KEEP, str(place), str(store)]
    done = forks.run_at_once(*[command] * 4, environment=os.environ)
    assert [(x.returncode, x.stdout, x.stderr) for x in done] == [(0, f"{expected}\n", "")] * 4
    assert contents(expected) == contents(place)
    assert names(store) == sorted({bundle.version, expected.name})


def test_find_is_not_misled_by_a_damaged_copy(bundle, place, store):
    shutil.copytree(place, place.parent / "another")
    keep(place, store)
    for damaged, intact in (
        (place, place.parent / "another"),
        (place.parent / "another", store / bundle.version),
    ):
        changed(damaged)
        assert find_bundle(place, bundle.version, store=store).directory == intact
    changed(store / bundle.version)
    with pytest.raises(BundleTampered, match=str(place / ARRAYS)):  # the first
        find_bundle(place, bundle.version, store=store)


def test_find_passes_over_a_copy_that_is_being_checked(place, store):
    def look(copy):
        shutil.rmtree(place)
        with pytest.raises(VersionMissing):
            find_bundle(place, json.loads((copy / MANIFEST).read_bytes())["version"], store=store)

    keep_bundle(place, store, check=look)
