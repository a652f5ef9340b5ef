"""Tests of ml/bundle/reader.py: models without an array form, and challengers."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest

from ml.bundle.manifest import (
    CHAMPION,
    KNOWN_ANSWER_TOLERANCE,
    BundleForeign,
    BundleMissing,
    BundleTampered,
    challenger_files,
    versions,
)
from ml.bundle.reader import read_bundle
from ml.product.samples import examples
from tests.ml.bundle.damage import Touches, error_of, put, refused, state

CHALLENGER = challenger_files("svc_rbf")


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
        assert f"trained with {name} 0.24.2" in refused(run_by_pipeline, BundleForeign, past=past)
    assert not trace.exists()


def test_read_another_bundle_than_the_wanted_one(run_by_pipeline, bundle, tmp_path):
    trace = tmp_path / "unpickled"
    put(run_by_pipeline, CHAMPION, pickle.dumps(Touches(trace)))
    wanted = bundle.digest
    message = error_of(
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
    assert message.endswith("the scorer is of kind pipeline, but the manifest says linear")
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
    np.testing.assert_allclose(
        scorer.score_many(frame), expected, rtol=0, atol=KNOWN_ANSWER_TOLERANCE
    )
    assert np.ptp(expected) > 0.1


def test_challenger_of_another_name(bundle):
    for name in ("svc_linear", "yacht", "../outside"):
        error_of(bundle.directory, BundleMissing, lambda name=name: bundle.challenger(name))


@pytest.mark.parametrize("at", [0, 1])
def test_challenger_changed_since_the_bundle_was_read(copy, at):
    read = read_bundle(copy)
    (copy / CHALLENGER[at]).write_bytes(b"other")
    if at == 0:  # only its arrays are needed
        assert read.challenger("svc_rbf").kind == "rbf"
        return
    error_of(copy, BundleTampered, lambda: read.challenger("svc_rbf"))


def test_challenger_without_array_form_of_other_versions(challenged, tmp_path):
    trace = tmp_path / "executed"
    put(challenged, challenger_files("boosting")[0], pickle.dumps(Touches(trace)))
    state(challenged, versions=versions() | {"scikit-learn": "0.24.2"})
    past = read_bundle(challenged, past=True)
    assert past.challenger("svc_rbf").kind == "rbf"
    error_of(challenged, BundleForeign, lambda: past.challenger("boosting"))
    assert not trace.exists()


def test_challenger_resealed_with_no_model(copy):
    put(copy, CHALLENGER[1], b"not an archive")
    assert refused(copy, BundleTampered).startswith(f"{copy}: {CHALLENGER[1]}: ")
