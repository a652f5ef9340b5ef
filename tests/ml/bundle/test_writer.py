"""Tests of ml/bundle/writer.py."""

import hashlib
import os

import pytest

from ml.bundle.facts import Facts
from ml.bundle.manifest import (
    FORMAT,
    MANIFEST,
    SEAL,
    InvalidBundle,
    read_manifest,
    versions,
)
from ml.bundle.reader import read_bundle
from ml.bundle.store import find_bundle
from ml.bundle.version import version_of
from ml.bundle.writer import refuse_foreign, write_bundle


@pytest.fixture
def files(bundle):
    return {name: bundle.file(name) for name in bundle.manifest.files}


@pytest.fixture
def facts(bundle):
    """The facts of the bundle, without what the writer adds."""
    return Facts(**{name: getattr(bundle.manifest, name) for name in Facts.model_fields})


@pytest.fixture
def others(bundle, files):
    """The manifests of two more versions, which differ only in the cost ratio."""
    both = [bundle.manifest.model_copy(update={"cost_ratio": ratio}) for ratio in (2.5, 3.5)]
    return [m.model_copy(update={"version": version_of(m, files)}) for m in both]


def around(directory):
    return {path.name for path in directory.parent.iterdir()}


def test_write_into_an_empty_directory(tmp_path, bundle, facts, files):
    refuse_foreign(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    write_bundle(tmp_path / "empty", files | {"part/a": b"1"}, facts)
    assert (tmp_path / "empty/part/a").read_bytes() == b"1"
    manifest, _ = read_manifest(tmp_path / "empty")
    assert manifest == bundle.manifest.model_copy(
        update={"files": bundle.manifest.files | {"part/a": hashlib.sha256(b"1").hexdigest()}}
    )
    assert (manifest.format, manifest.versions) == (FORMAT, versions())
    assert around(tmp_path / "empty") == {"empty"}


def test_write_where_there_is_nothing_yet(tmp_path, bundle, files):
    place = tmp_path / "models" / "new"
    write_bundle(place, files, bundle.manifest)
    assert read_bundle(place).version == bundle.version
    assert around(place) == {"new"}
    assert place.stat().st_mode & 0o777 == 0o755


def test_write_states_what_it_writes_over_what_it_is_told(tmp_path, bundle, files):
    stated = {
        "format": 1,
        "files": {"b": "0" * 64},
        "versions": {},
        "version": "svc_linear-00000000",
    }
    write_bundle(tmp_path / "new", files, bundle.manifest.model_copy(update=stated))
    manifest, _ = read_manifest(tmp_path / "new")
    assert manifest == bundle.manifest
    assert manifest.format == FORMAT
    assert manifest.versions == versions()
    assert list(manifest.files) == sorted(files)


def test_write_replaces_a_bundle_of_the_same_version_whole(copy, bundle, files):
    before = os.stat(copy).st_ino
    (copy / "stale").write_text("from before")
    write_bundle(copy, files, bundle.manifest.model_copy(update={"threshold_from": "luck"}))
    assert not (copy / "stale").exists()
    assert os.stat(copy).st_ino != before
    assert read_bundle(copy).manifest.threshold_from == "luck"
    assert around(copy) == {"copy"}


def test_write_keeps_a_bundle_of_another_version_beside(copy, bundle, files, others):
    second, third = others
    write_bundle(copy, files, second)
    assert around(copy) == {"copy", bundle.version}
    assert read_bundle(copy).version == second.version
    past = find_bundle(copy, bundle.version)
    assert (past.directory, past.digest) == (copy.parent / bundle.version, bundle.digest)
    write_bundle(copy, files, third)
    assert around(copy) == {"copy", bundle.version, second.version}
    assert find_bundle(copy, second.version).manifest.cost_ratio == second.cost_ratio


def test_write_an_earlier_version_again(copy, bundle, files, others):
    second = others[0]
    for manifest in (second, bundle.manifest, second, bundle.manifest):
        write_bundle(copy, files, manifest)
        assert read_bundle(copy).version == manifest.version
    assert around(copy) == {"copy", bundle.version, second.version}
    assert read_bundle(copy.parent / bundle.version).version == bundle.version
    assert read_bundle(copy.parent / second.version).version == second.version


def test_write_into_a_folder_named_after_the_version_that_it_holds(copy, bundle, files, others):
    named = copy.rename(copy.parent / bundle.version)
    write_bundle(named, files, others[0])
    assert read_bundle(named).version == others[0].version
    past = find_bundle(named, bundle.version)
    assert past.digest == bundle.digest
    assert around(named) == {bundle.version, past.directory.name}


def test_write_leaves_what_has_the_name_of_the_version_before(copy, bundle, files, others):
    taken = copy.parent / bundle.version
    taken.write_text("mine")
    write_bundle(copy, files, others[0])
    assert taken.read_text() == "mine"
    past = find_bundle(copy, bundle.version)
    assert past.digest == bundle.digest
    assert around(copy) == {"copy", bundle.version, past.directory.name}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"[]", b"{}", b"[" * 100_000, b'{"version": 1}', b'{"version": "../up"}'],
)
def test_write_replaces_a_bundle_that_says_no_version(copy, bundle, files, content):
    (copy / MANIFEST).write_bytes(content)
    write_bundle(copy, files, bundle.manifest)
    assert read_bundle(copy).version == bundle.version
    assert around(copy) == {"copy"}


def test_write_refuses_a_directory_that_holds_something_else(tmp_path, facts, files):
    (tmp_path / "photos").mkdir()
    photo = tmp_path / "photos" / "cat.jpeg"
    photo.write_bytes(b"purr")
    with pytest.raises(InvalidBundle, match="holds something other than a bundle"):
        write_bundle(tmp_path / "photos", files, facts)
    assert photo.read_bytes() == b"purr"
    assert [path.name for path in tmp_path.rglob("*")] == ["photos", "cat.jpeg"]


@pytest.mark.parametrize("name", [MANIFEST, SEAL])
def test_write_refuses_a_website_with_a_manifest_of_its_own(tmp_path, name, facts, files):
    page = tmp_path / "site" / name
    page.parent.mkdir()
    page.write_text("{}")
    with pytest.raises(InvalidBundle):
        write_bundle(page.parent, files, facts)
    assert page.read_text() == "{}"


def test_write_refuses_a_file_in_place_of_the_directory(tmp_path, facts, files):
    place = tmp_path / "place"
    place.write_text("mine")
    with pytest.raises(InvalidBundle, match=str(place)):
        write_bundle(place, files, facts)
    with pytest.raises(InvalidBundle, match=str(place)):
        write_bundle(place / "below", files, facts)
    assert place.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [place]


def test_write_leaves_a_bundle_behind_a_link_where_it_is(copy, bundle, facts, files):
    link = copy.parent / "link"
    link.symlink_to(copy, target_is_directory=True)
    before = {path: path.stat().st_ino for path in copy.rglob("*")}
    with pytest.raises(InvalidBundle, match=str(link)):
        write_bundle(link, files, facts)
    assert {path: path.stat().st_ino for path in copy.rglob("*")} == before
    assert set(copy.parent.iterdir()) == {copy, link}
    assert read_bundle(link).version == bundle.version


def test_write_that_fails_leaves_the_bundle_before_and_nothing_else(copy, bundle, facts, files):
    before = {path: path.stat().st_ino for path in copy.rglob("*")}
    with pytest.raises(InvalidBundle, match=str(copy)):
        write_bundle(copy, files | {"a" * 300: b"1"}, facts)  # no file can have so long a name
    assert {path: path.stat().st_ino for path in copy.rglob("*")} == before
    assert around(copy) == {"copy"}
    assert read_bundle(copy).digest == bundle.digest
