"""Tests of ml/bundle/manifest.py."""

import hashlib
import re
import sys

import numpy as np
import pytest
import sklearn
from pydantic import ValidationError

from ml.bundle.manifest import (
    ARRAYS,
    BACKGROUND,
    CARD,
    CHAMPION,
    FORMAT,
    LABELLED,
    MANIFEST,
    NOVELTY,
    PRODUCT,
    REFERENCE,
    SEAL,
    BundleForeign,
    BundleMissing,
    BundleTampered,
    challenger_files,
    read_manifest,
    refuse_other_versions,
    understood,
    verified,
    versions,
)
from tests.ml.bundle.damage import error_of, seal, stated


@pytest.fixture
def folder(bundle, tmp_path):
    """A folder with a manifest and its seal only."""
    for name in (MANIFEST, SEAL):
        (tmp_path / name).write_bytes((bundle.directory / name).read_bytes())
    return tmp_path


def refused(directory, kind):
    return error_of(directory, kind, lambda: read_manifest(directory))


def test_read_manifest_whole(folder, bundle):
    manifest, digest = read_manifest(folder)
    assert manifest == bundle.manifest
    assert digest == hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("name", [MANIFEST, SEAL])
def test_read_manifest_changed_byte(folder, name, place):
    content = bytearray((folder / name).read_bytes())
    at = {"first": 0, "middle": len(content) // 2, "last": -1}[place]
    content[at] ^= 1
    (folder / name).write_bytes(content)
    assert refused(folder, BundleTampered).endswith(f"its hash is not the one in {SEAL}")


@pytest.mark.parametrize("name", [MANIFEST, SEAL])
def test_read_manifest_byte_more_or_less(folder, name):
    content = (folder / name).read_bytes()
    for changed in (content + b"\n", content[:-1], b""):
        (folder / name).write_bytes(changed)
        refused(folder, BundleTampered)


@pytest.mark.parametrize("name", [MANIFEST, SEAL])
def test_read_manifest_missing_file(folder, name):
    (folder / name).unlink()
    assert refused(folder, BundleMissing) == f"{folder / name}: does not exist"


@pytest.mark.parametrize("name", [MANIFEST, SEAL])
def test_read_manifest_directory_in_place_of_a_file(folder, name):
    (folder / name).unlink()
    (folder / name).mkdir()
    refused(folder, BundleMissing)


def test_read_manifest_of_no_bundle_at_all(tmp_path):
    refused(tmp_path, BundleMissing)
    refused(tmp_path / "nowhere", BundleMissing)


@pytest.mark.parametrize("stated_format", [None, 1, FORMAT + 1, str(FORMAT), [FORMAT]])
def test_read_manifest_of_another_format(folder, stated_format):
    manifest = stated(folder)
    assert manifest["format"] == FORMAT
    del manifest["format"]
    seal(folder, manifest if stated_format is None else manifest | {"format": stated_format})
    message = refused(folder, BundleForeign)
    assert message == f"{folder}: written by another version of Loan Desk; train it again"


def without(key):
    return lambda manifest: {k: v for k, v in manifest.items() if k != key}


def lacking(part, key):
    return lambda manifest: manifest | {part: without(key)(manifest[part])}


def within(part, **changes):
    return lambda manifest: manifest | {part: manifest[part] | changes}


def row_of(manifest, accuracy):
    row = next(row for row in manifest["table"] if row["name"] == manifest["champion"])
    return row | {"accuracy": accuracy}


def with_file(name):
    return lambda manifest: manifest | {"files": manifest["files"] | {name: "0" * 64}}


STATED = (
    "champion",
    "cost_ratio",
    "data",
    "effort",
    "files",
    "known_answers",
    "product",
    "ranges",
    "reason",
    "rule",
    "scorer",
    "seed",
    "settings",
    "table",
    "threshold",
    "threshold_from",
    "trained_at",
    "version",
    "versions",
)
RESEALED = {
    "no JSON": lambda _: "{",
    "no UTF-8": lambda _: "\udcff",
    "empty": lambda _: "",
    "a list": lambda _: [],
    "null": lambda _: None,
    "deeply nested": lambda _: "[" * 100_000,
    **{f"without {key}": without(key) for key in STATED},
    **{f"{key} is null": lambda m, key=key: m | {key: None} for key in STATED},
    "rule in one language": lambda m: m | {"rule": m["rule"]["en"]},
    "files are a list": lambda m: m | {"files": list(m["files"])},
    **{
        f"without {name}": lacking("files", name)
        for name in (ARRAYS, BACKGROUND, CARD, CHAMPION, LABELLED, NOVELTY, PRODUCT, REFERENCE)
    },
    **{f"without {name}": lacking("versions", name) for name in versions()},
    "with another key": lambda m: m | {"more": 1},
    "seed is text": lambda m: m | {"seed": "0"},
    "seed is true": lambda m: m | {"seed": True},
    "cost ratio of nothing": lambda m: m | {"cost_ratio": 0},
    "cost ratio is text": lambda m: m | {"cost_ratio": "3"},
    "scorer of another kind": lambda m: m | {"scorer": "poly"},
    "champion is no candidate": lambda m: m | {"champion": "svc_poly"},
    "champion without settings": lacking("settings", "svc_linear"),
    "champion that is no name": lambda m: m | {"champion": "../up"},
    "version of another shape": lambda m: m | {"version": "svc_linear"},
    "version that climbs": lambda m: m | {"version": "../up-12345678"},
    "version with a line break": lambda m: m | {"version": m["version"] + "\n"},
    "hash that is none": lambda m: m | {"files": m["files"] | {ARRAYS: "0"}},
    "rows are text": within("data", rows="many"),
    "no rows": within("data", rows=0),
    "effort is text": within("effort", thorough="yes"),
    "range without an end": lambda m: m | {"ranges": {"assets": [1]}},
    "range of fractions": lambda m: m | {"ranges": {"assets": [1.5, 2]}},
    "table of names": lambda m: m | {"table": [row["name"] for row in m["table"]]},
    "figure without a deviation": lambda m: m | {"table": [row_of(m, {"mean": 0.5})]},
    "figure that is text": lambda m: m | {"table": [row_of(m, {"mean": "0.5", "sd": 0})]},
    "trained at no time": lambda m: m | {"trained_at": "yesterday"},
    "trained in no time zone": lambda m: m | {"trained_at": "2026-01-01T00:00:00"},
    "threshold is text": lambda m: m | {"threshold": "0.5"},
    "threshold not a number": lambda m: m | {"threshold": float("nan")},
    "threshold above 1": lambda m: m | {"threshold": 1.5},
    "threshold below 0": lambda m: m | {"threshold": -0.5},
    "file above": with_file("../outside"),
    "file far above": with_file("challengers/../../outside"),
    "file by absolute path": with_file("/etc/hostname"),
    "file by backslashes": with_file("..\\outside"),
    "file here": with_file("."),
    "file without a name": with_file(""),
    "file with a NUL": with_file("a\0b"),
    "file with a line break": with_file("a\nb"),
}


@pytest.mark.parametrize("case", RESEALED)
def test_read_manifest_resealed(folder, case):
    seal(folder, RESEALED[case](stated(folder)))
    assert refused(folder, BundleTampered).startswith(f"{folder / MANIFEST}: ")


def test_read_manifest_says_which_value_is_wrong(folder):
    manifest = stated(folder)
    manifest["known_answers"][3]["probability"] = "high"
    seal(folder, manifest)
    where = "known_answers.3.probability"
    message = refused(folder, BundleTampered)
    assert message == f"{folder / MANIFEST}: {where}: Input should be a valid number"


def test_manifest_cannot_be_changed(bundle):
    with pytest.raises(ValidationError, match="frozen"):
        bundle.manifest.threshold = 0.1


def test_manifest_of_an_older_format_is_not_looked_into(folder):
    seal(folder, {"format": 2, "version": "svc_linear-12345678", "audit": {}})
    refused(folder, BundleForeign)


def test_versions_are_those_installed():
    assert versions() == {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
    }


@pytest.mark.parametrize("name", sorted(versions()))
def test_refuse_other_versions_names_the_one(bundle, name):
    refuse_other_versions(bundle.directory, bundle.manifest)
    other = bundle.manifest.model_copy(update={"versions": versions() | {name: "0.24.2"}})
    expected = f"trained with {name} 0.24.2, but {versions()[name]} is installed; train it again"
    with pytest.raises(BundleForeign) as raised:
        refuse_other_versions(bundle.directory, other)
    assert str(raised.value) == f"{bundle.directory}: {expected}"


def test_challenger_files_are_those_of_the_bundle(bundle):
    for file in challenger_files("svc_rbf"):
        assert file in bundle.manifest.files
        assert (bundle.directory / file).is_file()


@pytest.fixture
def single(bundle, tmp_path):
    """A folder with one file, and a manifest that has its hash."""
    (tmp_path / "a").write_bytes(b"1")
    files = {"a": hashlib.sha256(b"1").hexdigest()}
    return tmp_path, bundle.manifest.model_copy(update={"files": files})


def test_verified_whole_file(single):
    assert verified(*single, "a") == b"1"


@pytest.mark.parametrize("content", [b"", b"2", b"11"])
def test_verified_changed_file(single, content):
    (single[0] / "a").write_bytes(content)
    with pytest.raises(BundleTampered) as raised:
        verified(*single, "a")
    assert str(raised.value) == f"{single[0] / 'a'}: its hash is not the one in {MANIFEST}"


def test_verified_missing_file(single):
    (single[0] / "a").unlink()
    with pytest.raises(BundleMissing, match=r"a: does not exist$"):
        verified(*single, "a")


@pytest.mark.parametrize("name", ["b", "../b", "a/b", ""])
def test_verified_file_that_the_manifest_has_not_is_never_opened(single, name):
    directory, manifest = single
    inner = directory / "inner"
    for place in (inner / "b", directory / "b"):
        place.mkdir(parents=True)  # to open it would be another error
    with pytest.raises(BundleMissing, match=f"not in {MANIFEST}"):
        verified(inner, manifest, name)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError("rows"), "lacks 'rows'"),
        (ValueError("two\n  lines"), "two lines"),
        (AssertionError(), "AssertionError()"),
        (RecursionError("too deep"), "too deep"),
    ],
)
def test_understood_turns_what_breaks_into_one_line(tmp_path, error, words):
    with pytest.raises(BundleTampered) as raised, understood(tmp_path):
        raise error
    assert str(raised.value) == f"{tmp_path}: {words}"
    assert raised.value.__cause__ is error


def test_understood_leaves_what_is_already_said(tmp_path):
    error = BundleMissing("gone")
    with pytest.raises(BundleMissing, match=re.escape("gone")) as raised, understood(tmp_path):
        raise error
    assert raised.value is error
