"""What ml/bundle.py promises."""

import dataclasses
import hashlib
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ml.bundle import (
    ARRAYS,
    CHAMPION,
    MANIFEST,
    PRODUCT,
    SEAL,
    BundleForeign,
    BundleMissing,
    BundleTampered,
    InvalidBundle,
    read_bundle,
    refuse_foreign,
    replay,
    versions,
    write_bundle,
)

ROOT = Path(__file__).parents[2]
FILES = (MANIFEST, SEAL, CHAMPION, ARRAYS, PRODUCT, "challengers/svc_rbf.joblib")


@pytest.fixture
def copy(bundle, tmp_path):
    """The bundle's directory, once more, to be damaged."""
    return Path(shutil.copytree(bundle.directory, tmp_path / "copy"))


def seal(directory, manifest):
    """Write a manifest, given as an object or as text, with the seal that fits it."""
    text = manifest if isinstance(manifest, str) else json.dumps(manifest)
    content = text.encode(errors="surrogateescape")
    (directory / MANIFEST).write_bytes(content)
    (directory / SEAL).write_text(f"{hashlib.sha256(content).hexdigest()}  {MANIFEST}\n")


def stated(directory):
    return json.loads((directory / MANIFEST).read_bytes())


def put(directory, name, content):
    """Replace a file of the bundle and seal the bundle anew, as its writer could."""
    (directory / name).write_bytes(content)
    manifest = stated(directory)
    manifest["files"][name] = hashlib.sha256(content).hexdigest()
    seal(directory, manifest)


def verify(directory):
    """Run the command; return its exit code and the lines of its two streams."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "ml", "verify", "--bundle", str(directory)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def refused(directory, kind):
    """Whether reading raises exactly this kind, with one line; return the line."""
    with pytest.raises(InvalidBundle) as raised:
        replay(read_bundle(directory))
    assert type(raised.value) is kind
    message = str(raised.value)
    assert message.startswith(str(directory))
    assert "\n" not in message
    return message


def test_files_are_those_of_a_bundle(bundle):
    found = {
        str(path.relative_to(bundle.directory))
        for path in bundle.directory.rglob("*")
        if path.is_file()
    }
    assert found == set(FILES)
    assert set(bundle.manifest["files"]) == set(FILES) - {MANIFEST, SEAL}


def test_read_whole_bundle(bundle, product):
    again = read_bundle(bundle.directory)
    replay(again)
    assert again.product == product
    assert again.version == bundle.version == bundle.manifest["version"]
    assert again.threshold == 0.5
    assert again.digest == hashlib.sha256((bundle.directory / MANIFEST).read_bytes()).hexdigest()


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("name", FILES)
def test_read_changed_byte(copy, name, place):
    content = bytearray((copy / name).read_bytes())
    at = {"first": 0, "middle": len(content) // 2, "last": -1}[place]
    content[at] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(BundleTampered) as raised:
        read_bundle(copy)
    # A change in the seal shows as a manifest that does not fit it.
    assert str(copy / (MANIFEST if name == SEAL else name)) in str(raised.value)


@pytest.mark.parametrize("name", FILES)
def test_read_byte_more_or_less(copy, name):
    content = (copy / name).read_bytes()
    for changed in (content + b"\n", content[:-1], b""):
        (copy / name).write_bytes(changed)
        refused(copy, BundleTampered)


@pytest.mark.parametrize("name", FILES)
def test_read_missing_file(copy, name):
    (copy / name).unlink()
    assert refused(copy, BundleMissing) == f"{copy / name}: not there"


def test_read_directory_in_place_of_a_file(copy):
    (copy / ARRAYS).unlink()
    (copy / ARRAYS).mkdir()
    refused(copy, BundleMissing)


def test_read_no_bundle_at_all(tmp_path):
    refused(tmp_path, BundleMissing)
    refused(tmp_path / "nowhere", BundleMissing)


@pytest.mark.parametrize("name", sorted(versions()))
def test_read_other_version(copy, name):
    manifest = stated(copy)
    manifest["versions"][name] = "0.24.2"
    seal(copy, manifest)
    message = refused(copy, BundleForeign)
    assert f"trained under {name} 0.24.2, but {versions()[name]} is installed" in message


def without(key):
    return lambda manifest: {k: v for k, v in manifest.items() if k != key}


def with_file(name):
    return lambda manifest: manifest | {"files": manifest["files"] | {name: "0" * 64}}


RESEALED = {
    "no JSON": lambda _: "{",
    "no UTF-8": lambda _: "\udcff",
    "empty": lambda _: "",
    "a list": lambda _: [],
    "null": lambda _: None,
    "deeply nested": lambda _: "[" * 100_000,
    **{
        f"without {key}": without(key)
        for key in (
            "champion",
            "cost_ratio",
            "data",
            "effort",
            "files",
            "known_answers",
            "product",
            "reason",
            "rule",
            "scorer",
            "settings",
            "table",
            "threshold",
            "threshold_from",
            "version",
            "versions",
        )
    },
    "files are a list": lambda m: m | {"files": list(m["files"])},
    "without the arrays": lambda m: m | {"files": without(ARRAYS)(m["files"])},
    "without the product": lambda m: m | {"files": without(PRODUCT)(m["files"])},
    "without the champion": lambda m: m | {"files": without(CHAMPION)(m["files"])},
    "without a version": lambda m: m | {"versions": without("numpy")(m["versions"])},
    "threshold is text": lambda m: m | {"threshold": "0.5"},
    "threshold not a number": lambda m: m | {"threshold": float("nan")},
    "threshold above 1": lambda m: m | {"threshold": 1.5},
    "other kind of scorer": lambda m: m | {"scorer": "rbf"},
    "no known answers": lambda m: m | {"known_answers": []},
    "empty known answer": lambda m: m | {"known_answers": [{}]},
    "known answer is text": lambda m: m | {"known_answers": ["granted"]},
    "wrong known answer": lambda m: (
        m | {"known_answers": [m["known_answers"][0] | {"probability": 0.123}]}
    ),
    "known answer not a number": lambda m: (
        m | {"known_answers": [m["known_answers"][0] | {"probability": float("nan")}]}
    ),
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
def test_read_resealed_manifest(copy, case):
    (copy.parent / "outside").write_text("beyond")
    seal(copy, RESEALED[case](stated(copy)))
    refused(copy, BundleTampered)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "challengers/../../outside"])
def test_read_never_opens_a_file_outside(copy, name):
    outside = copy.parent / "outside"
    os.mkfifo(outside)  # opening it would wait for ever
    manifest = with_file(name)(stated(copy))
    seal(copy, manifest)
    assert "is no file of a bundle" in refused(copy, BundleTampered)


def npz(**arrays):
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def npy(array):
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


ARRAY_FILES = {
    "empty": lambda _: b"",
    "no archive": lambda _: b"not an archive",
    "cut": lambda content: content[: len(content) // 2],
    "one array": lambda _: npy(np.zeros(3)),
    "pickled objects": lambda _: npz(layout=np.array([{"a": 1}], dtype=object)),
    "a pickle": lambda _: pickle.dumps({"layout": "{}"}),
    "no layout": lambda _: npz(weights=np.zeros(3)),
    "layout no JSON": lambda _: npz(layout=np.array("{")),
    "layout empty": lambda _: npz(layout=np.array("{}")),
}


@pytest.mark.parametrize("case", ARRAY_FILES)
def test_read_resealed_arrays(copy, case):
    put(copy, ARRAYS, ARRAY_FILES[case]((copy / ARRAYS).read_bytes()))
    assert refused(copy, BundleTampered).startswith(str(copy / ARRAYS))


@pytest.mark.parametrize("content", [b"", b"name =", b"\xff\xfe", b'name = "bank"'])
def test_read_resealed_product(copy, content):
    put(copy, PRODUCT, content)
    assert refused(copy, BundleTampered).startswith(str(copy / PRODUCT))


@pytest.mark.parametrize("content", [b"", b"not a model", pickle.dumps("not a model")])
def test_replay_resealed_champion(copy, content):
    put(copy, CHAMPION, content)
    assert refused(copy, BundleTampered).startswith(str(copy / CHAMPION))


def test_replay_other_model_in_place_of_the_champion(copy):
    put(copy, CHAMPION, (copy / "challengers/svc_rbf.joblib").read_bytes())
    assert "a known answer differs by" in refused(copy, BundleTampered)


def test_replay_other_arrays(copy, trained):
    manifest = stated(copy)
    with np.load(copy / ARRAYS) as arrays:
        changed = {name: arrays[name] for name in arrays.files}
    changed["intercept"] = changed["intercept"] + 1e-6
    seal(copy, manifest)
    put(copy, ARRAYS, npz(**changed))
    assert "a known answer differs by" in refused(copy, BundleTampered)


class Touches:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return (Path.touch, (self.file,))


def test_read_malicious_pickle_is_never_executed(copy, tmp_path):
    trace = tmp_path / "executed"
    malicious = pickle.dumps(Touches(trace))
    for name in (CHAMPION, "challengers/svc_rbf.joblib", ARRAYS):
        kept = (copy / name).read_bytes()
        (copy / name).write_bytes(malicious)
        refused(copy, BundleTampered)
        (copy / name).write_bytes(kept)
    (copy / CHAMPION).write_bytes(malicious)
    code, _, errors = verify(copy)
    assert (code, len(errors)) == (2, 1)
    assert not trace.exists()
    pickle.loads(malicious)
    assert trace.exists()  # so it would have shown


def test_read_champion_with_array_form_is_not_unpickled(copy, tmp_path):
    trace = tmp_path / "executed"
    put(copy, CHAMPION, pickle.dumps(Touches(trace)))
    assert read_bundle(copy).scorer.kind == "linear"
    assert not trace.exists()


def test_replay_champion_changed_since_it_was_read(copy, tmp_path):
    trace = tmp_path / "executed"
    read = read_bundle(copy)
    (copy / CHAMPION).write_bytes(pickle.dumps(Touches(trace)))
    with pytest.raises(BundleTampered, match="its hash is not the one"):
        replay(read)
    assert not trace.exists()


def test_verify_whole_bundle(copy, bundle):
    code, out, errors = verify(copy)
    assert (code, errors) == (0, [])
    assert out == [f"{copy}: {bundle.version} is whole and gives its known answers"]


def missing(directory):
    (directory / ARRAYS).unlink()


def tampered(directory):
    (directory / ARRAYS).write_bytes(b"other")


def foreign(directory):
    manifest = stated(directory)
    manifest["versions"]["scikit-learn"] = "0.24.2"
    seal(directory, manifest)


def resealed(directory):
    seal(directory, "{")


def forgetful(directory):
    manifest = stated(directory)
    manifest["known_answers"][3]["probability"] /= 2
    seal(directory, manifest)


@pytest.mark.parametrize("damage", [missing, tampered, foreign, resealed, forgetful])
def test_verify_exits_with_one_line(copy, damage):
    damage(copy)
    code, out, errors = verify(copy)
    assert (code, out, len(errors)) == (2, [], 1)
    assert errors[0].startswith(f"python -m ml: {copy}")


def test_write_refuses_a_directory_that_holds_something_else(tmp_path):
    (tmp_path / "photos").mkdir()
    photo = tmp_path / "photos" / "cat.jpeg"
    photo.write_bytes(b"purr")
    with pytest.raises(InvalidBundle, match="holds something else than a bundle"):
        write_bundle(tmp_path / "photos", {"a": b"1"}, {})
    assert photo.read_bytes() == b"purr"
    assert [path.name for path in tmp_path.rglob("*")] == ["photos", "cat.jpeg"]


def test_write_refuses_a_website_with_a_manifest_of_its_own(tmp_path):
    page = tmp_path / "site" / MANIFEST
    page.parent.mkdir()
    page.write_text("{}")
    with pytest.raises(InvalidBundle):
        write_bundle(page.parent, {"a": b"1"}, {})
    assert page.read_text() == "{}"


def test_write_refuses_a_file_in_place_of_the_directory(tmp_path):
    place = tmp_path / "place"
    place.write_text("mine")
    with pytest.raises(InvalidBundle, match=str(place)):
        write_bundle(place, {"a": b"1"}, {})
    with pytest.raises(InvalidBundle, match=str(place)):
        write_bundle(place / "below", {"a": b"1"}, {})
    assert place.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [place]


def test_write_into_an_empty_directory(tmp_path):
    refuse_foreign(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    write_bundle(tmp_path / "empty", {"part/a": b"1"}, {"champion": "x"})
    assert (tmp_path / "empty/part/a").read_bytes() == b"1"
    manifest = stated(tmp_path / "empty")
    assert manifest["files"] == {"part/a": hashlib.sha256(b"1").hexdigest()}
    assert manifest["versions"] == versions()


def test_write_replaces_a_bundle_whole(copy, bundle):
    before = os.stat(copy).st_ino
    files = {name: (copy / name).read_bytes() for name in bundle.manifest["files"]}
    (copy / "stale").write_text("from before")
    write_bundle(copy, files, bundle.manifest | {"threshold": 0.7})
    assert not (copy / "stale").exists()
    assert os.stat(copy).st_ino != before
    assert read_bundle(copy).threshold == 0.7
    assert list(copy.parent.iterdir()) == [copy]


def test_write_leaves_a_bundle_behind_a_link_where_it_is(copy, bundle):
    link = copy.parent / "link"
    link.symlink_to(copy, target_is_directory=True)
    before = {path: path.stat().st_ino for path in copy.rglob("*")}
    with pytest.raises(InvalidBundle, match=str(link)):
        write_bundle(link, {"a": b"1"}, {})
    assert {path: path.stat().st_ino for path in copy.rglob("*")} == before
    assert set(copy.parent.iterdir()) == {copy, link}
    assert read_bundle(link).version == bundle.version


def test_bundle_cannot_be_changed(bundle):
    with pytest.raises(dataclasses.FrozenInstanceError):
        bundle.digest = "other"
