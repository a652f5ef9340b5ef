"""Tests of ml/training/build.py."""

import dataclasses
import hashlib
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from ml.bundle.facts import Spread, TrainingData
from ml.bundle.manifest import (
    ARRAYS,
    BACKGROUND,
    CARD,
    CHAMPION,
    LABELLED,
    NOVELTY,
    PRODUCT,
    REFERENCE,
    InvalidBundle,
    challenger_files,
)
from ml.bundle.reader import read_bundle
from ml.bundle.store import find_bundle
from ml.card.card import card_content, model_card
from ml.card.checks import checks
from ml.evaluation.fairness import assess
from ml.product.application import Rules, as_columns
from ml.product.errors import InvalidData
from ml.product.samples import UNSEEN
from ml.product.texts import LANGUAGES
from ml.training.build import KNOWN_ANSWERS, KNOWN_SHARES, assemble
from ml.training.candidates import candidates
from ml.training.dataset import read_rows
from ml.training.reference import BACKGROUND_ROWS, neighbourhood
from ml.training.selection import RULE
from ml.training.train import DEFAULT, SEED, fit


def test_two_trainings_with_one_seed_decide_alike(tmp_path, product, bundle, trained, origin):
    linear = next(c for c in candidates(product, seed=SEED) if c.name == "svc_linear")
    linear = dataclasses.replace(linear, grid={key: v[:1] for key, v in linear.grid.items()})
    model, _ = fit(linear, product, origin.rows.data, effort=DEFAULT, seed=SEED)
    again = dataclasses.replace(trained, models=trained.models | {"svc_linear": model})
    second = assemble(tmp_path / "second", product, again, origin)
    assert second.manifest.known_answers == bundle.manifest.known_answers
    assert second.version == bundle.version


def test_retraining_alike_takes_the_place_of_the_bundle(tmp_path, product, trained, origin):
    place = tmp_path / "credit"
    first = assemble(place, product, trained, origin)
    second = assemble(place, product, trained, origin)
    assert second.version == first.version
    assert second.digest == read_bundle(place).digest
    assert list(tmp_path.iterdir()) == [place]


def test_retraining_with_another_threshold_keeps_the_bundle_before(
    tmp_path, product, trained, origin
):
    place = tmp_path / "credit"
    first = assemble(place, product, trained, origin)
    stricter = dataclasses.replace(origin, threshold=0.8, by_hand=True)
    second = assemble(place, product, trained, stricter)
    assert second.version != first.version
    assert second.threshold == 0.8
    assert second.manifest.threshold_from == "set by hand"
    assert {path.name for path in tmp_path.iterdir()} == {"credit", first.version}
    past = find_bundle(place, first.version)
    assert (past.digest, past.threshold) == (first.digest, origin.threshold)
    assert find_bundle(place, second.version).directory == place


def test_version_depends_on_what_decides_and_explains(tmp_path, product, bundle, trained, origin):
    changed = {
        "seed": (trained, dataclasses.replace(origin, seed=origin.seed + 1)),
        "reason": (dataclasses.replace(trained, reason=RULE), origin),
        "champion": (dataclasses.replace(trained, champion="svc_rbf"), origin),
        "product": (trained, dataclasses.replace(origin, definition=origin.definition + b"#\n")),
    }
    found = {name: assemble(tmp_path / name, product, *both) for name, both in changed.items()}
    assert found["seed"].version == found["reason"].version == bundle.version  # 800 rows: all kept
    assert found["champion"].version.startswith("svc_rbf-")
    assert found["product"].version != bundle.version


def test_bundle_states_how_it_came_about(bundle, trained, origin):
    manifest = bundle.manifest
    assert manifest.rule == RULE
    assert manifest.reason == trained.reason
    assert manifest.table == trained.table
    assert manifest.settings == trained.settings
    assert manifest.threshold_from == f"cost ratio {origin.cost_ratio:g} : 1"
    assert manifest.effort == DEFAULT
    assert manifest.data == TrainingData(
        file="loans.csv",
        sha256=hashlib.sha256(origin.data_file.read_bytes()).hexdigest(),
        rows=len(origin.rows.good),
        good=int(origin.rows.good.sum()),
        left_out=origin.rows.left_out,
    )
    assert manifest.trained_at.tzinfo is not None
    assert abs(datetime.now(UTC) - manifest.trained_at) < timedelta(hours=1)


def test_bundle_compares_with_the_rows_that_were_only_just_granted(bundle, trained, origin):
    fields = origin.rows.fields
    held = json.loads(bundle.file(BACKGROUND))
    digest = hashlib.sha256((bundle.directory / BACKGROUND).read_bytes()).hexdigest()
    assert bundle.manifest.files[BACKGROUND] == digest
    assert len(held) == len({json.dumps(row) for row in held}) == BACKGROUND_ROWS["linear"]
    rules = Rules(bundle.product)
    assert [rules.check(row) for row in held] == held
    found = bundle.scorer.score_many(as_columns(held))
    probability = trained.models["svc_linear"].predict_proba(fields.drop_duplicates())[:, 1]
    nearest = np.sort(probability[probability >= origin.threshold])[: BACKGROUND_ROWS["linear"]]
    np.testing.assert_allclose(found, nearest, rtol=0, atol=1e-12)


def test_known_shares_are_those_of_the_first_answers(bundle):
    known = bundle.manifest.known_answers
    assert [one.shares is not None for one in known] == [
        n < KNOWN_SHARES for n in range(KNOWN_ANSWERS)
    ]
    for one in known[:KNOWN_SHARES]:
        assert one.shares.keys() == bundle.product.players.keys()
        margin = bundle.scorer.margins(as_columns([one.application]))[0]
        moved = margin - bundle.explainer.base
        assert sum(one.shares.values()) == pytest.approx(moved, rel=0, abs=1e-9)


def test_card_holds_evidence_in_every_language(bundle):
    importance = json.loads(bundle.file(CARD))["importance"]
    assert {language for row in importance for language in row["label"]} == {*LANGUAGES}
    assert {row["field"] for row in importance} == set(bundle.product.by_name)
    plots = [name for name in bundle.manifest.files if name.startswith("plots/")]
    for language in LANGUAGES:
        assert [name for name in plots if f".{language}." in name]
    assert all(b"<svg" in bundle.file(name) for name in plots)


def test_card_judges_groups_and_marked_rows_by_models_that_had_not_seen_them(
    bundle, product, trained, origin
):
    rows, probability, card = origin.rows, trained.out_of_fold, card_content(bundle)
    granted = probability >= origin.threshold
    answers = {"good": rows.good, "granted": granted, "probability": probability}
    assert card.fairness == assess(product, rows.protected, **answers)
    matrix = bundle.scorer.columns.matrix(rows.fields)
    marked = neighbourhood(matrix, numbers=len(product.numbers), seed=origin.seed).marked
    right = granted == rows.good
    assert (card.novelty.marked.n, card.novelty.others.n) == (marked.sum(), (~marked).sum())
    assert card.novelty.marked.n < card.novelty.others.n
    assert card.novelty.marked.accuracy.value == pytest.approx(right[marked].mean())
    assert card.novelty.others.accuracy.value == pytest.approx(right[~marked].mean())


def test_known_answers_are_those_of_every_model(bundle, trained):
    known = bundle.manifest.known_answers
    frame = pd.DataFrame([one.application for one in known])
    for name, model in trained.models.items():
        answers = [
            one.probability if name == trained.champion else one.challengers[name] for one in known
        ]
        np.testing.assert_allclose(answers, model.predict_proba(frame)[:, 1], rtol=0, atol=1e-12)


def test_known_answers_hold_missing_values_and_unseen_words(bundle):
    known = bundle.manifest.known_answers
    answers = [value for k in known for value in k.application.values()]
    assert len(known) == KNOWN_ANSWERS
    assert None in answers
    assert UNSEEN in answers
    assert all(0 < k.probability < 1 for k in known)


def test_assemble_champion_without_array_form_is_run_by_its_pipeline(
    tmp_path, product, trained, origin
):
    fields, good = read_rows(product, product.data_file).data
    small = next(c for c in candidates(product, seed=SEED) if c.name == "boosting")
    small = dataclasses.replace(small, grid={"classify__max_iter": [10]})
    part = (fields.iloc[:300], good[:300])
    model, settings = fit(small, product, part, effort=DEFAULT, seed=SEED)
    row = trained.table[0].model_copy(update={"name": "boosting"})
    again = dataclasses.replace(
        trained,
        table=(*trained.table, row),
        settings=trained.settings | {"boosting": settings},
        models=trained.models | {"boosting": model},
        champion="boosting",
    )
    found = read_bundle(assemble(tmp_path / "boosting", product, again, origin).directory)
    assert found.scorer.kind == found.manifest.scorer == "pipeline"
    assert found.version.startswith("boosting-")
    assert {name for name in found.manifest.files if not name.startswith("plots/")} == {
        *(CHAMPION, ARRAYS, PRODUCT, BACKGROUND, NOVELTY, CARD, REFERENCE, LABELLED),
        *challenger_files("svc_linear"),
        *challenger_files("svc_rbf"),
    }
    some = fields.iloc[300:320]
    expected = model.predict_proba(some)[:, 1]
    assert found.scorer.score_many(some) == pytest.approx(expected, abs=1e-12)


def test_assemble_refuses_a_place_that_is_taken(tmp_path, product, trained, origin):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InvalidBundle, match="holds something other than"):
        assemble(tmp_path, product, trained, origin)


def test_assemble_refuses_a_threshold_that_no_row_reaches(tmp_path, product, trained, origin):
    unreachable = dataclasses.replace(origin, threshold=1 - 1e-9, by_hand=True)
    with pytest.raises(InvalidData, match="so none would be granted"):
        assemble(tmp_path / "new", product, trained, unreachable)
    assert list(tmp_path.iterdir()) == []


def spreads(**means):
    return {name: Spread(mean=mean, sd=0.0) for name, mean in means.items()}


@pytest.mark.parametrize(
    ("probability", "area", "ratio", "said"),
    [
        (0.9, 0.8, 1.0, r"application is (0\.2\d+)\. This is not below \1, the cost of giving"),
        (0.9, 0.8, 5.0, r"application is 1\.\d+\. This is not below 0\.7\d+, the cost of"),
        (None, 0.48, 1.0, r"^The ROC-AUC is 0\.4800\. This is below 0\.5, the value for"),
    ],
)
def test_assemble_refuses_a_model_that_is_no_better_than_none(
    tmp_path, product, trained, origin, probability, area, ratio, said
):
    """Models that grant all, at two cost ratios, and a model that ranks worse than chance."""
    table = tuple(row.model_copy(update=spreads(roc_auc=area)) for row in trained.table)
    worthless = dataclasses.replace(trained, table=table)
    if probability:
        alike = np.full(len(trained.out_of_fold), probability)
        worthless = dataclasses.replace(worthless, out_of_fold=alike)
    of_cost = dataclasses.replace(origin, cost_ratio=ratio)
    with pytest.raises(InvalidData, match=said) as raised:
        assemble(tmp_path / "new", product, worthless, of_cost)
    assert str(raised.value).endswith("Nothing was written; --force writes it anyway.")
    assert list(tmp_path.iterdir()) == []


def test_assemble_writes_a_model_no_better_than_none_if_forced_and_its_card_says_so(
    tmp_path, product, trained, origin
):
    table = tuple(row.model_copy(update=spreads(roc_auc=0.48)) for row in trained.table)
    worthless = dataclasses.replace(trained, table=table)
    forced = assemble(tmp_path / "new", product, worthless, dataclasses.replace(origin, force=True))
    assert any(
        "ROC-AUC is 0.4800. This is below 0.5" in s for s in checks(model_card(forced), "en")
    )


def test_bundle_names_the_fields_with_one_value(tmp_path, product, trained, origin):
    alike = dataclasses.replace(origin.rows, fields=origin.rows.fields.assign(assets=1000))
    found = assemble(tmp_path / "new", product, trained, dataclasses.replace(origin, rows=alike))
    assert found.manifest.data.constant == ("assets",)
    assert any("in every training row: Assets." in s for s in checks(model_card(found), "en"))
