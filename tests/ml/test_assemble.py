"""What ml/assemble.py promises."""

import dataclasses

import pandas as pd
import pytest

from ml.assemble import KNOWN_ANSWERS, assemble
from ml.bundle import InvalidBundle, read_bundle
from ml.candidates import candidates
from ml.examples import UNSEEN
from ml.rows import read_rows
from ml.train import DEFAULT, RULE, SEED, fit


def test_two_trainings_with_one_seed_decide_alike(tmp_path, product, bundle, trained, origin):
    fields, good = read_rows(product, product.data_file)
    linear = next(c for c in candidates(product, seed=SEED) if c.name == "svc_linear")
    linear = dataclasses.replace(linear, grid={key: v[:1] for key, v in linear.grid.items()})
    rows = (fields.iloc[: origin.rows], good[: origin.rows])
    model, _ = fit(linear, product, rows, effort=DEFAULT, seed=SEED)
    again = dataclasses.replace(trained, models=trained.models | {"svc_linear": model})
    second = assemble(tmp_path / "second", product, again, origin)
    assert second.manifest["known_answers"] == bundle.manifest["known_answers"]
    assert second.version == bundle.version


def test_another_threshold_is_another_version(tmp_path, product, bundle, trained, origin):
    stricter = dataclasses.replace(origin, threshold=0.8, by_hand=True)
    second = assemble(tmp_path / "second", product, trained, stricter)
    assert second.version != bundle.version
    assert second.threshold == 0.8
    assert second.manifest["threshold_from"] == "set by hand"


def test_bundle_states_how_it_came_about(bundle, trained, origin):
    manifest = bundle.manifest
    assert manifest["rule"] == RULE
    assert manifest["table"] == trained.table
    assert manifest["settings"] == trained.settings
    assert manifest["threshold_from"] == f"cost ratio {origin.cost_ratio:g} : 1"
    assert manifest["data"]["file"] == "loans.csv"
    assert manifest["effort"] == dataclasses.asdict(DEFAULT)
    assert pd.Timestamp(manifest["trained_at"]).tzinfo is not None


def test_known_answers_hold_missing_values_and_unseen_words(bundle):
    known = bundle.manifest["known_answers"]
    answers = [value for k in known for value in k["application"].values()]
    assert len(known) == KNOWN_ANSWERS
    assert None in answers
    assert UNSEEN in answers
    assert all(0 < k["probability"] < 1 for k in known)


def test_assemble_champion_without_array_form_is_run_by_its_pipeline(
    tmp_path, product, bundle, trained, origin
):
    fields, good = read_rows(product, product.data_file)
    near = next(c for c in candidates(product, seed=SEED) if c.name == "neighbours")
    near = dataclasses.replace(near, grid={"classify__n_neighbors": [31]})
    part = (fields.iloc[:300], good[:300])
    model, _ = fit(near, product, part, effort=DEFAULT, seed=SEED)
    again = dataclasses.replace(
        trained, models=trained.models | {"neighbours": model}, champion="neighbours"
    )
    found = read_bundle(assemble(tmp_path / "near", product, again, origin).directory)
    assert found.scorer.kind == found.manifest["scorer"] == "pipeline"
    assert found.version.startswith("neighbours-")
    assert sorted(found.manifest["files"])[:2] == [
        "challengers/svc_linear.joblib",
        "challengers/svc_rbf.joblib",
    ]
    expected = model.predict_proba(fields.iloc[300:320])[:, 1]
    assert found.scorer.score_many(fields.iloc[300:320]) == pytest.approx(expected, abs=1e-12)


def test_assemble_refuses_a_place_that_is_taken(tmp_path, product, trained, origin):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InvalidBundle, match="holds something else"):
        assemble(tmp_path, product, trained, origin)
