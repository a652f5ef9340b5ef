"""Tests of ml/bundle/version.py, also that a bundle cannot state the version of another one."""

import io
import json

import numpy as np
import pytest

from ml.bundle.facts import Effort
from ml.bundle.manifest import (
    ARRAYS,
    BACKGROUND,
    CARD,
    CHAMPION,
    MANIFEST,
    NOVELTY,
    PRODUCT,
    BundleTampered,
    challenger_files,
)
from ml.bundle.reader import read_bundle
from ml.bundle.version import version_of
from tests.ml.bundle.damage import arrays_of, npz, put, refused, state, state_version, stated

PICKLE, CHALLENGER = challenger_files("svc_rbf")


@pytest.fixture
def files(bundle):
    return {name: bundle.file(name) for name in bundle.manifest.files}


def known_of(bundle, **changes):
    first, *others = bundle.manifest.known_answers
    return (first.model_copy(update=changes), *others)


def test_version_is_the_champion_and_the_hash_of_what_the_files_hold(bundle, files):
    assert version_of(bundle.manifest, files) == bundle.version
    name, digits = bundle.version.split("-")
    assert (name, len(digits)) == ("svc_linear", 8)


NAMED = {
    "product": lambda _: "mortgage",
    "threshold": lambda _: 0.5000001,
    "cost_ratio": lambda _: 1.5,
    "ranges": lambda bundle: bundle.ranges | {"assets": (0, 1)},
    "known_answers": lambda bundle: known_of(bundle, probability=0.123),
}


@pytest.mark.parametrize("fact", NAMED)
def test_version_names_what_decides_and_explains(bundle, files, fact):
    changed = bundle.manifest.model_copy(update={fact: NAMED[fact](bundle)})
    assert version_of(changed, files) != bundle.version


@pytest.mark.parametrize("part", ["challengers", "shares", "application"])
def test_version_names_every_part_of_a_known_answer(bundle, files, part):
    values = getattr(bundle.manifest.known_answers[0], part)
    changed = known_of(bundle, **{part: values | {min(values): 123}})
    facts = bundle.manifest.model_copy(update={"known_answers": changed})
    assert version_of(facts, files) != bundle.version


def test_version_names_the_champion(bundle, files):
    facts = bundle.manifest.model_copy(update={"champion": "svc_rbf"})
    name, digits = version_of(facts, files).split("-")
    assert name == "svc_rbf"
    assert digits != bundle.version.split("-")[1]


@pytest.mark.parametrize(
    ("fact", "value"),
    [("seed", 9), ("effort", Effort(repeats=7)), ("threshold_from", "luck"), ("table", ())],
)
def test_version_does_not_depend_on_how_the_model_was_found(bundle, files, fact, value):
    assert getattr(bundle.manifest, fact) != value
    changed = bundle.manifest.model_copy(update={fact: value})
    assert version_of(changed, files) == bundle.version


@pytest.mark.parametrize("name", [PRODUCT, BACKGROUND])
def test_version_names_every_byte_of_product_and_background(bundle, files, name):
    assert version_of(bundle.manifest, files | {name: files[name] + b"\n"}) != bundle.version


@pytest.mark.parametrize("name", [ARRAYS, NOVELTY, CHALLENGER])
def test_version_names_every_array(bundle, files, name):
    arrays = arrays_of(files[name])
    assert len(arrays) > 1
    for part, array in arrays.items():
        changed = npz(**arrays | {part: last_moved(array, by=2e-6)})
        assert version_of(bundle.manifest, files | {name: changed}) != bundle.version, part


def last_moved(array, *, by):
    """Return the array with its last number slightly higher; of a layout, the last known one."""
    if array.dtype.kind == "U":
        layout = json.loads(str(array))
        layout["calibration"][-1] += by
        return np.array(json.dumps(layout))
    flat = array.ravel().copy()
    flat[-1] += by
    return flat.reshape(array.shape)


@pytest.mark.parametrize("key", ["kind", "numbers", "ratios", "scaled", "absent", "choices"])
def test_version_names_every_part_of_a_layout(bundle, files, key):
    arrays = arrays_of(files[ARRAYS])
    layout = json.loads(str(arrays["layout"]))
    changed = npz(**arrays | {"layout": np.array(json.dumps(layout | {key: layout[key][:-1]}))})
    assert version_of(bundle.manifest, files | {ARRAYS: changed}) != bundle.version


def test_version_of_a_layout_that_is_no_json(bundle, files):
    changed = npz(**arrays_of(files[CHALLENGER]) | {"layout": np.array("{")})
    with pytest.raises(ValueError, match=f"^{CHALLENGER}: "):
        version_of(bundle.manifest, files | {CHALLENGER: changed})


def test_version_names_the_shape_of_an_array(bundle, files):
    arrays = arrays_of(files[NOVELTY])
    changed = npz(**arrays | {"rows": arrays["rows"].T.reshape(arrays["rows"].shape[::-1])})
    assert version_of(bundle.manifest, files | {NOVELTY: changed}) != bundle.version


def test_version_names_which_challengers_there_are(bundle, files):
    fewer = {name: content for name, content in files.items() if name != CHALLENGER}
    more = files | {challenger_files("forest")[1]: files[CHALLENGER]}
    versions = {version_of(bundle.manifest, some) for some in (files, fewer, more)}
    assert len(versions) == 3


def test_version_does_not_depend_on_how_files_are_laid_out(bundle, files):
    content = io.BytesIO()
    np.savez_compressed(content, **arrays_of(files[ARRAYS]))
    assert content.getvalue() != files[ARRAYS]
    other = {ARRAYS: content.getvalue(), CHAMPION: b"", PICKLE: b"", CARD: b""}
    assert version_of(bundle.manifest, files | other) == bundle.version
    backwards = dict(reversed(files.items()))
    assert version_of(bundle.manifest, backwards) == bundle.version


def threshold(directory):
    state(directory, threshold=0.999)


def cost_ratio(directory):
    state(directory, cost_ratio=9.0)


def known_answers(directory):
    answers = stated(directory)["known_answers"]
    answers[4]["probability"] = 0.5
    state(directory, known_answers=answers)


def challenger(directory):
    arrays = arrays_of((directory / CHALLENGER).read_bytes())
    put(directory, CHALLENGER, npz(**arrays | {"intercept": arrays["intercept"] + 1}))


def other_challenger(directory):
    put(directory, challenger_files("forest")[1], (directory / CHALLENGER).read_bytes())


def novelty(directory):
    arrays = arrays_of((directory / NOVELTY).read_bytes())
    put(directory, NOVELTY, npz(**arrays | {"limit": arrays["limit"] * 10}))


def background(directory):
    rows = json.loads((directory / BACKGROUND).read_bytes())
    put(directory, BACKGROUND, json.dumps(rows[1:]).encode())


def product(directory):
    put(directory, PRODUCT, (directory / PRODUCT).read_bytes() + b"# more\n")


CHANGES = (threshold, cost_ratio, known_answers, challenger, other_challenger, novelty)


@pytest.mark.parametrize("change", [*CHANGES, background, product])
@pytest.mark.parametrize("past", [False, True])
def test_read_bundle_that_carries_the_version_of_another(copy, bundle, change, past):
    change(copy)
    message = refused(copy, BundleTampered, past=past)
    own = state_version(copy)
    assert message == (
        f"{copy / MANIFEST}: states version {bundle.version}, but its content has version {own}"
    )
    assert read_bundle(copy, past=past).version == own != bundle.version


def shifted(content, by):
    """Return the arrays with every number slightly higher, those of the calibration too."""
    arrays = arrays_of(content)
    moved = {n: a + by for n, a in arrays.items() if a.dtype.kind == "f"}
    if "layout" in arrays:
        layout = json.loads(str(arrays["layout"]))
        layout["calibration"] = [number + by for number in layout["calibration"]]
        moved["layout"] = np.array(json.dumps(layout))
    return npz(**arrays | moved)


def answered(bundle, by):
    """Return the manifest with every number of its known answers slightly higher."""
    known = tuple(
        k.model_copy(
            update={
                "probability": k.probability + by,
                "challengers": {n: p + by for n, p in k.challengers.items()},
                "shares": k.shares and {n: s + by for n, s in k.shares.items()},
            }
        )
        for k in bundle.manifest.known_answers
    )
    return bundle.manifest.model_copy(update={"known_answers": known})


@pytest.mark.parametrize("by", [4.5e-13, -4.5e-13])
def test_version_does_not_depend_on_the_processor_s_last_digits(bundle, files, by):
    arrays = {n: shifted(c, by) for n, c in files.items() if n.endswith(".npz")}
    assert len(arrays) == 4  # with labels, which do not affect decisions
    assert version_of(answered(bundle, by), files | arrays) == bundle.version
    other = {ARRAYS: shifted(files[ARRAYS], 1e-5)}
    assert version_of(bundle.manifest, files | other) != bundle.version


def test_version_does_not_depend_on_the_sign_of_what_is_rounded_to_zero(bundle, files):
    """A flat curve has a share of 0 on one processor, and of less than that on another."""
    versions = set()
    for rest in (0.0, -4.5e-13):
        shares = dict.fromkeys(bundle.manifest.known_answers[0].shares, rest)
        facts = bundle.manifest.model_copy(
            update={"known_answers": known_of(bundle, shares=shares)}
        )
        arrays = arrays_of(files[ARRAYS])
        flat = npz(**arrays | {"weights": np.full_like(arrays["weights"], rest)})
        versions.add(version_of(facts, files | {ARRAYS: flat}))
    assert len(versions) == 1
