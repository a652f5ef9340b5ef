"""Tests of ml/bundle/verify.py."""

import json
import pickle

import pytest

from ml.bundle.manifest import (
    ARRAYS,
    BACKGROUND,
    CHAMPION,
    KNOWN_ANSWER_TOLERANCE,
    MANIFEST,
    BundleTampered,
    challenger_files,
    versions,
)
from ml.bundle.reader import read_bundle
from ml.bundle.verify import verify_bundle
from tests.ml.bundle.damage import (
    Touches,
    arrays_of,
    dumped,
    not_verified,
    npz,
    put,
    refused,
    seal,
    state,
    state_version,
    stated,
    verify,
)

CHALLENGER = challenger_files("svc_rbf")


def known(change):
    """Return a function that changes the first known answer."""
    return lambda answers: [change(answers[0]), *answers[1:]]


def share(value):
    return known(lambda one: one | {"shares": one["shares"] | {"assets": value}})


MALFORMED = {
    "none": lambda _: [],
    "empty": known(lambda _: {}),
    "text": known(lambda _: "granted"),
    "not a number": known(lambda one: one | {"probability": float("nan")}),
    "share not a number": share(float("nan")),
    "share is text": share("much"),
    "shares are a list": known(lambda one: one | {"shares": []}),
}
WRONG = {
    "without a field": known(lambda one: one | {"application": {}}),
    "wrong": known(lambda one: one | {"probability": 0.123}),
    "wrong share": share(0.123),
    "no shares": known(lambda one: one | {"shares": {}}),
    "wrong challenger": known(lambda one: one | {"challengers": {"svc_rbf": 0.123}}),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_read_malformed_known_answers(copy, case):
    state(copy, known_answers=MALFORMED[case](stated(copy)["known_answers"]))
    assert refused(copy, BundleTampered).startswith(f"{copy / MANIFEST}: known_answers")


def test_read_known_answer_without_a_challenger(copy):
    without = known(lambda one: one | {"challengers": {}})
    state(copy, known_answers=without(stated(copy)["known_answers"]))
    message = refused(copy, BundleTampered)
    assert message == f"{copy / MANIFEST}: a known answer lacks the challenger svc_rbf"


@pytest.mark.parametrize("case", WRONG)
def test_verify_resealed_known_answers(copy, case):
    state(copy, known_answers=WRONG[case](stated(copy)["known_answers"]))
    state_version(copy)
    not_verified(copy, BundleTampered)


@pytest.mark.parametrize("sign", [1, -1])
def test_verify_share_that_differs_by_more_than_the_tolerance(copy, sign):
    answers = stated(copy)["known_answers"]
    own = answers[0]["shares"]["assets"]
    state(copy, known_answers=share(own + sign * KNOWN_ANSWER_TOLERANCE / 2)(answers))
    state_version(copy)
    verify_bundle(read_bundle(copy))
    state(copy, known_answers=share(own + sign * KNOWN_ANSWER_TOLERANCE * 2)(answers))
    state_version(copy)
    message = not_verified(copy, BundleTampered)
    assert message == f"{copy / BACKGROUND}: a known share of assets differs by 2e-09"


def test_verify_other_background(copy):
    background = json.loads((copy / BACKGROUND).read_bytes())
    background[7]["loan_term_months"] += 6
    put(copy, BACKGROUND, json.dumps(background).encode())
    state_version(copy)
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
    arrays = arrays_of((copy / ARRAYS).read_bytes())
    arrays["intercept"] = arrays["intercept"] + 1e-6  # which changes no share
    put(copy, ARRAYS, npz(**arrays))
    state_version(copy)
    message = not_verified(copy, BundleTampered)
    assert message.startswith(f"{copy / ARRAYS}: a known answer differs by")


def test_verify_a_challenger_without_array_form(challenged, boosting):
    verify_bundle(read_bundle(challenged))
    other = pickle.loads(pickle.dumps(boosting))
    sigmoid = other.named_steps["calibrated"].calibrated_classifiers_[0].calibrators[0]
    sigmoid.b_ += 1e-6  # its arrays, which only normalise, stay as they are
    name = challenger_files("boosting")[0]
    put(challenged, name, dumped(other))
    message = not_verified(challenged, BundleTampered)
    assert message.startswith(f"{challenged / name}: a known answer differs by")


@pytest.mark.parametrize("content", [b"", b"not a model", pickle.dumps("not a model")])
def test_verify_a_challenger_without_array_form_that_is_no_model(challenged, content):
    put(challenged, challenger_files("boosting")[0], content)
    not_verified(challenged, BundleTampered)


def test_verify_champion_changed_since_it_was_read(copy, tmp_path):
    trace = tmp_path / "executed"
    read = read_bundle(copy)
    (copy / CHAMPION).write_bytes(pickle.dumps(Touches(trace)))
    with pytest.raises(BundleTampered, match="its hash is not the one"):
        verify_bundle(read)
    assert not trace.exists()


def test_verify_whole_bundle(copy, bundle):
    code, out, errors = verify(copy)
    assert (code, errors) == (0, [])
    assert out == [f"{copy}: {bundle.version} is unchanged and gives its known answers"]


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
    state_version(directory)


def lenient(directory):
    state(directory, threshold=0.1)


@pytest.mark.parametrize("damage", [missing, tampered, foreign, resealed, forgetful, lenient])
def test_verify_exits_with_one_line(copy, damage, run):
    damage(copy)
    code, out, errors = run("verify", "--bundle", copy)
    assert (code, out, len(errors)) == (2, [], 1)
    assert errors[0].startswith(f"Error: {copy}")
