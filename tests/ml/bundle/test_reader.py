"""What ml/bundle/reader.py promises."""

import dataclasses
import hashlib
import io
import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest

from ml.bundle.manifest import (
    ARRAYS,
    BACKGROUND,
    CARD,
    CHAMPION,
    MANIFEST,
    NOVELTY,
    PRODUCT,
    SEAL,
    TOLERANCE,
    BundleForeign,
    BundleMissing,
    BundleTampered,
    InvalidBundle,
    VersionMissing,
    challenger_files,
    versions,
)
from ml.bundle.reader import read_bundle
from ml.bundle.store import find_bundle
from ml.bundle.verify import verify_bundle
from ml.product.samples import examples
from ml.training.candidates import candidates
from ml.training.export import export_scorer
from ml.training.train import DEFAULT, SEED, fit

ROOT = Path(__file__).parents[3]
PLOTS = tuple(
    f"plots/{name}.{language}.svg"
    for name in ("calibration", "importance", "precision_recall", "roc", "thresholds")
    for language in ("en", "fr")
)
CHALLENGER = challenger_files("svc_rbf")
FILES = (
    *(MANIFEST, SEAL, CHAMPION, ARRAYS, PRODUCT, BACKGROUND, NOVELTY, CARD),
    *CHALLENGER,
    *PLOTS,
)


@pytest.fixture
def copy(bundle, tmp_path):
    """The bundle's directory, once more, to be damaged."""
    return Path(shutil.copytree(bundle.directory, tmp_path / "copy"))


def seal(directory, manifest):
    """Write a manifest with the seal that fits it."""
    content = json.dumps(manifest).encode()
    (directory / MANIFEST).write_bytes(content)
    (directory / SEAL).write_text(f"{hashlib.sha256(content).hexdigest()}  {MANIFEST}\n")


def stated(directory):
    return json.loads((directory / MANIFEST).read_bytes())


def state(directory, **changes):
    seal(directory, stated(directory) | changes)


def put(directory, name, content):
    """Replace a file of the bundle and seal the bundle anew, as its writer could."""
    (directory / name).write_bytes(content)
    files = stated(directory)["files"] | {name: hashlib.sha256(content).hexdigest()}
    state(directory, files=files)


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


def told(directory, kind, work):
    """Whether some work on a bundle raises exactly this kind, with one line; return the line."""
    with pytest.raises(InvalidBundle) as raised:
        work()
    assert type(raised.value) is kind
    message = str(raised.value)
    assert message.startswith(str(directory))
    assert "\n" not in message
    return message


def refused(directory, kind, *, past=False):
    return told(directory, kind, lambda: read_bundle(directory, past=past))


def not_verified(directory, kind):
    bundle = read_bundle(directory)
    return told(directory, kind, lambda: verify_bundle(bundle))


def npz(**arrays):
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def npy(array):
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


class Touches:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return (Path.touch, (self.file,))


def test_files_are_those_of_a_bundle(bundle):
    found = {
        path.relative_to(bundle.directory).as_posix()
        for path in bundle.directory.rglob("*")
        if path.is_file()
    }
    assert found == set(FILES)
    assert set(bundle.manifest["files"]) == set(FILES) - {MANIFEST, SEAL}


def test_read_whole_bundle(bundle, product):
    again = read_bundle(bundle.directory)
    verify_bundle(again)
    assert again.product == product
    assert again.version == bundle.version == bundle.manifest["version"]
    assert again.threshold == 0.5
    assert again.digest == hashlib.sha256((bundle.directory / MANIFEST).read_bytes()).hexdigest()
    kept = json.loads((bundle.directory / BACKGROUND).read_bytes())
    columns = {name: [row[name] for row in kept] for name in product.by_name}
    assert again.explainer.base == again.scorer.margins(columns).mean()
    assert again.novelty.limit == bundle.novelty.limit > 0


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("name", FILES)
def test_read_changed_byte(copy, name, place):
    content = bytearray((copy / name).read_bytes())
    at = {"first": 0, "middle": len(content) // 2, "last": -1}[place]
    content[at] ^= 1
    (copy / name).write_bytes(content)
    # A change in the seal shows as a manifest that does not fit it.
    broken = str(copy / (MANIFEST if name == SEAL else name))
    assert refused(copy, BundleTampered).startswith(f"{broken}: its hash is not the one in")


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
    assert f"trained under {name} 0.24.2, but {versions()[name]} is installed" in message
    past = read_bundle(copy, past=True)  # arrays are read alike under any version
    applications = examples(bundle.product, count=20, seed=3, unseen=True)
    for application in applications:
        assert past.scorer.score(application) == bundle.scorer.score(application)
        explained = past.explainer.explain(application, granted=False)
        assert explained == bundle.explainer.explain(application, granted=False)


@pytest.fixture(scope="module")
def boosting(product, origin):
    """A small model without an array form."""
    candidate = next(c for c in candidates(product, seed=SEED) if c.name == "boosting")
    grid = {"classify__max_iter": [10]}
    fields, good = origin.data
    return fit(
        dataclasses.replace(candidate, grid=grid),
        product,
        (fields.iloc[:300], good[:300]),
        effort=DEFAULT,
        seed=SEED,
    )[0]


@pytest.fixture
def run_by_pipeline(copy, boosting):
    """The copy with a champion that has no array form."""
    put(copy, CHAMPION, dumped(boosting))
    put(copy, ARRAYS, export_scorer(boosting))
    state(copy, scorer="pipeline")
    return copy


@pytest.fixture
def challenged(copy, boosting):
    """The copy with one more challenger, which has no array form."""
    pickle_file, arrays = challenger_files("boosting")
    put(copy, pickle_file, dumped(boosting))
    put(copy, arrays, export_scorer(boosting))
    state(copy, table=[{"name": "boosting"}, *stated(copy)["table"]])
    return copy


def dumped(model):
    content = io.BytesIO()
    joblib.dump(model, content)
    return content.getvalue()


def test_read_champion_without_array_form_is_its_pipeline(run_by_pipeline, boosting, product):
    for past in (False, True):
        scorer = read_bundle(run_by_pipeline, past=past).scorer
        assert scorer.kind == "pipeline"
        frame = pd.DataFrame(examples(product, count=50, seed=5, unseen=True))
        assert np.array_equal(scorer.score_many(frame), boosting.predict_proba(frame)[:, 1])


@pytest.mark.parametrize("name", sorted(versions()))
def test_read_champion_without_array_form_of_other_versions(run_by_pipeline, tmp_path, name):
    trace = tmp_path / "executed"
    put(run_by_pipeline, CHAMPION, pickle.dumps(Touches(trace)))
    state(run_by_pipeline, versions=versions() | {name: "0.24.2"})
    for past in (False, True):
        assert f"trained under {name} 0.24.2" in refused(run_by_pipeline, BundleForeign, past=past)
    assert not trace.exists()


def test_read_another_bundle_than_the_wanted_one(run_by_pipeline, bundle, tmp_path):
    trace = tmp_path / "unpickled"
    put(run_by_pipeline, CHAMPION, pickle.dumps(Touches(trace)))
    wanted = bundle.digest
    message = told(
        run_by_pipeline, BundleTampered, lambda: read_bundle(run_by_pipeline, digest=wanted)
    )
    assert wanted[:8] in message
    assert not trace.exists()
    assert read_bundle(bundle.directory, digest=wanted).digest == wanted


def test_read_past_champion_that_only_says_it_has_an_array_form(run_by_pipeline, tmp_path):
    trace = tmp_path / "executed"
    put(run_by_pipeline, CHAMPION, pickle.dumps(Touches(trace)))
    state(run_by_pipeline, scorer="linear", versions=versions() | {"numpy": "1.0"})
    message = refused(run_by_pipeline, BundleTampered, past=True)
    assert message.endswith("a scorer of the kind pipeline, not linear")
    assert not trace.exists()


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


FAMILIAR_FILES = {
    **{case: ARRAY_FILES[case] for case in ("empty", "no archive", "cut", "one array", "a pickle")},
    "no rows": lambda _: npz(limit=1.0),
    "no limit": lambda content: npz(rows=rows_of(content)),
    "rows of another width": lambda content: npz(rows=rows_of(content)[:, 1:], limit=1.0),
    "one row flat": lambda content: npz(rows=rows_of(content)[0], limit=1.0),
    "not a single row": lambda content: npz(rows=rows_of(content)[:0], limit=1.0),
    "rows of words": lambda _: npz(rows=np.array([["a"]]), limit=1.0),
    "pickled rows": lambda _: npz(rows=np.array([[{}]], dtype=object), limit=1.0),
    "limit of words": lambda content: npz(rows=rows_of(content), limit="far"),
}


def rows_of(content):
    with np.load(io.BytesIO(content)) as arrays:
        return arrays["rows"]


@pytest.mark.parametrize("case", FAMILIAR_FILES)
def test_read_resealed_novelty_rows(copy, case):
    put(copy, NOVELTY, FAMILIAR_FILES[case]((copy / NOVELTY).read_bytes()))
    assert refused(copy, BundleTampered).startswith(str(copy / NOVELTY))


@pytest.mark.parametrize("content", [b"", b"name =", b"\xff\xfe", b'name = "bank"'])
def test_read_resealed_product(copy, content):
    put(copy, PRODUCT, content)
    assert refused(copy, BundleTampered).startswith(str(copy / PRODUCT))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"null", b"[1]", b"[{}]", b"\xff"])
def test_read_resealed_background(copy, content):
    put(copy, BACKGROUND, content)
    assert refused(copy, BundleTampered).startswith(str(copy / BACKGROUND))


def test_read_resealed_background_with_a_word_for_a_number(copy):
    kept = json.loads((copy / BACKGROUND).read_bytes())
    kept[3]["loan_amount"] = "much"
    put(copy, BACKGROUND, json.dumps(kept).encode())
    assert refused(copy, BundleTampered).startswith(str(copy / BACKGROUND))


def test_read_other_kind_of_scorer(copy):
    state(copy, scorer="rbf")
    assert refused(copy, BundleTampered).endswith("a scorer of the kind linear, not rbf")


def test_read_malicious_pickle_is_never_executed(copy, tmp_path):
    trace = tmp_path / "executed"
    malicious = pickle.dumps(Touches(trace))
    for name in (CHAMPION, *CHALLENGER, ARRAYS, NOVELTY):
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


def test_read_what_has_an_array_form_is_not_unpickled(copy, tmp_path):
    trace = tmp_path / "executed"
    for name in (CHAMPION, CHALLENGER[0]):
        put(copy, name, pickle.dumps(Touches(trace)))
    read = read_bundle(copy)
    assert read.scorer.kind == "linear"
    assert read.challenger("svc_rbf").kind == "rbf"
    assert not trace.exists()


def known(change):
    """A change in the first of the known answers."""
    return lambda answers: [change(answers[0]), *answers[1:]]


def share(value):
    return known(lambda one: one | {"shares": one["shares"] | {"assets": value}})


KNOWN_ANSWERS = {
    "none": lambda _: [],
    "empty": known(lambda _: {}),
    "text": known(lambda _: "granted"),
    "without a field": known(lambda one: one | {"application": {}}),
    "wrong": known(lambda one: one | {"probability": 0.123}),
    "not a number": known(lambda one: one | {"probability": float("nan")}),
    "wrong share": share(0.123),
    "share not a number": share(float("nan")),
    "share is text": share("much"),
    "no shares": known(lambda one: one | {"shares": {}}),
    "shares are a list": known(lambda one: one | {"shares": []}),
}


@pytest.mark.parametrize("case", KNOWN_ANSWERS)
def test_verify_resealed_known_answers(copy, case):
    state(copy, known_answers=KNOWN_ANSWERS[case](stated(copy)["known_answers"]))
    not_verified(copy, BundleTampered)


@pytest.mark.parametrize("sign", [1, -1])
def test_verify_share_that_differs_by_more_than_the_tolerance(copy, sign):
    answers = stated(copy)["known_answers"]
    own = answers[0]["shares"]["assets"]
    state(copy, known_answers=share(own + sign * TOLERANCE / 2)(answers))
    verify_bundle(read_bundle(copy))
    state(copy, known_answers=share(own + sign * TOLERANCE * 2)(answers))
    message = not_verified(copy, BundleTampered)
    assert message == f"{copy / BACKGROUND}: a known share of assets differs by 2e-09"


def test_verify_other_background(copy):
    kept = json.loads((copy / BACKGROUND).read_bytes())
    kept[7]["loan_term_months"] += 6
    put(copy, BACKGROUND, json.dumps(kept).encode())
    assert "a known share of loan_term_months differs" in not_verified(copy, BundleTampered)


@pytest.mark.parametrize("content", [b"", b"not a model", pickle.dumps("not a model")])
def test_verify_resealed_champion(copy, content):
    put(copy, CHAMPION, content)
    assert not_verified(copy, BundleTampered).startswith(str(copy / CHAMPION))


def test_verify_other_model_in_place_of_the_champion(copy):
    put(copy, CHAMPION, (copy / CHALLENGER[0]).read_bytes())
    message = not_verified(copy, BundleTampered)
    assert message.startswith(f"{copy / CHAMPION}: a known answer differs by")


def test_verify_other_arrays(copy):
    with np.load(copy / ARRAYS) as arrays:
        changed = {name: arrays[name] for name in arrays.files}
    changed["intercept"] = changed["intercept"] + 1e-6  # which changes no share
    put(copy, ARRAYS, npz(**changed))
    message = not_verified(copy, BundleTampered)
    assert message.startswith(f"{copy / ARRAYS}: a known answer differs by")


def test_verify_champion_changed_since_it_was_read(copy, tmp_path):
    trace = tmp_path / "executed"
    read = read_bundle(copy)
    (copy / CHAMPION).write_bytes(pickle.dumps(Touches(trace)))
    with pytest.raises(BundleTampered, match="its hash is not the one"):
        verify_bundle(read)
    assert not trace.exists()


def test_challengers_are_the_candidates_that_do_not_decide(bundle, challenged):
    assert bundle.challengers == ["svc_rbf"]
    assert read_bundle(challenged).challengers == ["boosting", "svc_rbf"]


@pytest.mark.parametrize(("name", "kind"), [("svc_rbf", "rbf"), ("boosting", "pipeline")])
def test_challenger_equals_its_pipeline(challenged, name, kind):
    read = read_bundle(challenged)
    frame = pd.DataFrame(examples(read.product, count=1000, seed=12, unseen=True))
    expected = joblib.load(challenged / challenger_files(name)[0]).predict_proba(frame)[:, 1]
    scorer = read.challenger(name)
    assert scorer.kind == kind
    np.testing.assert_allclose(scorer.score_many(frame), expected, rtol=0, atol=TOLERANCE)
    assert np.ptp(expected) > 0.1


def test_challenger_of_another_name(bundle):
    for name in ("svc_linear", "yacht", "../outside"):
        told(bundle.directory, BundleMissing, lambda name=name: bundle.challenger(name))


@pytest.mark.parametrize("at", [0, 1])
def test_challenger_changed_since_the_bundle_was_read(copy, at):
    read = read_bundle(copy)
    (copy / CHALLENGER[at]).write_bytes(b"other")
    if at == 0:  # only its arrays are needed
        assert read.challenger("svc_rbf").kind == "rbf"
        return
    told(copy, BundleTampered, lambda: read.challenger("svc_rbf"))


def test_challenger_without_array_form_of_other_versions(challenged, tmp_path):
    trace = tmp_path / "executed"
    put(challenged, challenger_files("boosting")[0], pickle.dumps(Touches(trace)))
    state(challenged, versions=versions() | {"scikit-learn": "0.24.2"})
    past = read_bundle(challenged, past=True)
    assert past.challenger("svc_rbf").kind == "rbf"
    told(challenged, BundleForeign, lambda: past.challenger("boosting"))
    assert not trace.exists()


def test_challenger_resealed_with_no_model(copy):
    put(copy, CHALLENGER[1], b"not an archive")
    read = read_bundle(copy)
    told(copy, BundleTampered, lambda: read.challenger("svc_rbf"))


def test_file_is_the_one_that_was_written(bundle):
    for name in bundle.manifest["files"]:
        assert bundle.file(name) == (bundle.directory / name).read_bytes()


@pytest.mark.parametrize("name", [PLOTS[0], CARD])
def test_file_changed_or_gone_since_the_bundle_was_read(copy, name):
    read = read_bundle(copy)
    (copy / name).write_bytes(b"other")
    told(copy, BundleTampered, lambda: read.file(name))
    (copy / name).unlink()
    told(copy, BundleMissing, lambda: read.file(name))


@pytest.mark.parametrize("name", ["plots/yacht.en.svg", "../outside", MANIFEST, ""])
def test_file_that_is_none_of_the_bundle(copy, name):
    (copy.parent / "outside").write_text("beyond")
    read = read_bundle(copy)
    told(copy, BundleMissing, lambda: read.file(name))


def test_card_is_what_training_found_out(bundle):
    assert bundle.card == json.loads((bundle.directory / CARD).read_bytes())
    assert {"evidence", "fairness", "importance"} <= bundle.card.keys()


def test_card_resealed(copy):
    put(copy, CARD, b"{")
    read = read_bundle(copy)
    assert told(copy, BundleTampered, lambda: read.card).startswith(str(copy / CARD))


def test_ranges_are_those_of_the_training_rows(bundle, origin):
    fields, _ = origin.data
    integers = {f.name for f in bundle.product.inputs if f.kind == "integer"}
    assert bundle.ranges.keys() == integers
    for name, (low, high) in bundle.ranges.items():
        assert (low, high) == (fields[name].min(), fields[name].max())
        assert low < high


def test_find_current_bundle(bundle):
    assert find_bundle(bundle.directory, bundle.version).digest == bundle.digest


@pytest.fixture
def kept(copy):
    """A bundle of another version beside the copy."""
    folder = Path(shutil.copytree(copy, copy.parent / "kept"))
    state(folder, version="svc_linear-before")
    return folder


def test_find_kept_bundle(copy, kept):
    found = find_bundle(copy, "svc_linear-before")
    assert (found.directory, found.version) == (kept, "svc_linear-before")
    assert find_bundle(copy, stated(copy)["version"]).directory == copy
    assert find_bundle(kept, stated(copy)["version"]).directory == copy


def test_find_kept_bundle_of_other_versions(copy, kept):
    state(kept, versions=versions() | {"numpy": "1.0"})
    assert find_bundle(copy, "svc_linear-before").directory == kept


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
def test_find_passes_over_garbage(copy, kept, case):
    neighbour = copy.parent / "another"  # looked at before the one that is kept
    neighbour.mkdir()
    (neighbour / MANIFEST).write_bytes(GARBAGE[case])
    (copy.parent / "a file").write_text("no folder")
    (copy.parent / "b").mkdir()
    (copy.parent / "c" / MANIFEST).mkdir(parents=True)
    assert find_bundle(copy, "svc_linear-before").directory == kept
    (copy / MANIFEST).write_bytes(GARBAGE[case])
    assert find_bundle(copy, "svc_linear-before").directory == kept


def test_find_passes_over_a_folder_left_half_written(copy, kept):
    half = Path(shutil.copytree(kept, copy.parent / ".copy-x1"))
    (half / SEAL).unlink()
    assert find_bundle(copy, "svc_linear-before").directory == kept


def test_find_bundle_that_cannot_be_used(copy, kept):
    (kept / BACKGROUND).write_bytes(b"[]")
    told(kept, BundleTampered, lambda: find_bundle(copy, "svc_linear-before"))


def test_verify_whole_bundle(copy, bundle):
    code, out, errors = verify(copy)
    assert (code, errors) == (0, [])
    assert out == [f"{copy}: {bundle.version} is whole and gives its known answers"]


def missing(directory):
    (directory / ARRAYS).unlink()


def tampered(directory):
    (directory / ARRAYS).write_bytes(b"other")


def foreign(directory):
    state(directory, versions=versions() | {"scikit-learn": "0.24.2"})


def resealed(directory):
    seal(directory, [])


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


def test_bundle_cannot_be_changed(bundle):
    with pytest.raises(dataclasses.FrozenInstanceError):
        bundle.digest = "other"
