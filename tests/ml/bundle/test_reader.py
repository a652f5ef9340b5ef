"""Tests of ml/bundle/reader.py: whole and damaged bundles."""

import dataclasses
import hashlib
import json
from itertools import product as product_of

import pytest

from ml.bundle.manifest import (
    ARRAYS,
    BACKGROUND,
    CARD,
    CHAMPION,
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
    versions,
)
from ml.bundle.reader import read_bundle
from ml.bundle.verify import verify_bundle
from ml.card.pictures import THEMES, TITLES, picture_file
from ml.product.samples import examples
from ml.product.texts import LANGUAGES
from tests.ml.bundle.damage import error_of, refused, seal, state, stated

PLOTS = tuple(picture_file(*one) for one in product_of(TITLES, LANGUAGES, THEMES))
CHALLENGER = challenger_files("svc_rbf")
FILES = (
    *(MANIFEST, SEAL, CHAMPION, ARRAYS, PRODUCT, BACKGROUND, NOVELTY, CARD, REFERENCE, LABELLED),
    *CHALLENGER,
    *PLOTS,
)
DAMAGED = (*FILES[: -len(PLOTS)], *PLOTS[:: len(LANGUAGES) * len(THEMES)])  # each plot once


def test_files_are_those_of_a_bundle(bundle):
    held = {
        path.relative_to(bundle.directory).as_posix()
        for path in bundle.directory.rglob("*")
        if path.is_file()
    }
    assert held == set(FILES)
    assert set(bundle.manifest.files) == set(FILES) - {MANIFEST, SEAL}


def test_read_whole_bundle(bundle, product):
    again = read_bundle(bundle.directory)
    verify_bundle(again)
    assert again.product == product
    assert again.version == bundle.version == bundle.manifest.version
    assert again.threshold == 0.5
    assert again.digest == hashlib.sha256((bundle.directory / MANIFEST).read_bytes()).hexdigest()
    background = json.loads((bundle.directory / BACKGROUND).read_bytes())
    columns = {name: [row[name] for row in background] for name in product.by_name}
    assert again.explainer.base == again.scorer.margins(columns).mean()
    assert again.novelty.limit == bundle.novelty.limit > 0


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("name", DAMAGED)
def test_read_changed_byte(copy, name, place):
    content = bytearray((copy / name).read_bytes())
    at = {"first": 0, "middle": len(content) // 2, "last": -1}[place]
    content[at] ^= 1
    (copy / name).write_bytes(content)
    # A changed seal is reported as a manifest that does not match it.
    broken = str(copy / (MANIFEST if name == SEAL else name))
    assert refused(copy, BundleTampered).startswith(f"{broken}: its hash is not the one in")


@pytest.mark.parametrize("name", DAMAGED)
def test_read_byte_more_or_less(copy, name):
    content = (copy / name).read_bytes()
    for changed in (content + b"\n", content[:-1], b""):
        (copy / name).write_bytes(changed)
        refused(copy, BundleTampered)


@pytest.mark.parametrize("name", DAMAGED)
def test_read_missing_file(copy, name):
    (copy / name).unlink()
    assert refused(copy, BundleMissing) == f"{copy / name}: does not exist"


def test_read_directory_in_place_of_a_file(copy):
    (copy / ARRAYS).unlink()
    (copy / ARRAYS).mkdir()
    refused(copy, BundleMissing)


def test_read_no_bundle_at_all(tmp_path):
    refused(tmp_path, BundleMissing)
    refused(tmp_path / "nowhere", BundleMissing)


def test_read_bundle_of_the_first_format(copy):
    manifest = stated(copy)
    del manifest["format"]  # it stated none
    seal(copy, manifest)
    for past in (False, True):
        assert refused(copy, BundleForeign, past=past).endswith("train it again")


@pytest.mark.parametrize("name", sorted(versions()))
def test_read_other_version(copy, bundle, name):
    state(copy, versions=versions() | {name: "0.24.2"})
    message = refused(copy, BundleForeign)
    assert f"trained with {name} 0.24.2, but {versions()[name]} is installed" in message
    past = read_bundle(copy, past=True)  # arrays are read alike under any version
    applications = examples(bundle.product, count=20, seed=3, unseen=True)
    for application in applications:
        assert past.scorer.score(application) == bundle.scorer.score(application)
        explained = past.explainer.explain(application, granted=False)
        assert explained == bundle.explainer.explain(application, granted=False)


def test_file_is_the_one_that_was_written(bundle):
    for name in bundle.manifest.files:
        assert bundle.file(name) == (bundle.directory / name).read_bytes()


@pytest.mark.parametrize("name", [PLOTS[0], CARD])
def test_file_changed_or_gone_since_the_bundle_was_read(copy, name):
    read = read_bundle(copy)
    (copy / name).write_bytes(b"other")
    error_of(copy, BundleTampered, lambda: read.file(name))
    (copy / name).unlink()
    error_of(copy, BundleMissing, lambda: read.file(name))


@pytest.mark.parametrize("name", ["plots/yacht.en.dark.svg", "../outside", MANIFEST, ""])
def test_file_that_is_none_of_the_bundle(copy, name):
    (copy.parent / "outside").write_text("beyond")
    read = read_bundle(copy)
    error_of(copy, BundleMissing, lambda: read.file(name))


def test_ranges_are_those_of_the_training_rows(bundle, origin):
    fields = origin.rows.fields
    integers = {f.name for f in bundle.product.inputs if f.kind == "integer"}
    assert bundle.ranges.keys() == integers
    for name, (low, high) in bundle.ranges.items():
        assert (low, high) == (fields[name].min(), fields[name].max())
        assert low < high


def test_bundle_cannot_be_changed(bundle):
    with pytest.raises(dataclasses.FrozenInstanceError):
        bundle.digest = "other"
