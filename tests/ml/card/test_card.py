"""Tests of ml/card/card.py."""

import dataclasses
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ml.bundle.manifest import CARD, MANIFEST, BundleTampered
from ml.card.card import (
    FIGURES,
    ModelCard,
    card_content,
    model_card,
)
from ml.evaluation.performance import METRICS
from ml.product.definition import Product
from ml.product.files import read_product
from ml.product.texts import Text
from ml.training.candidates import LABELS, candidates

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def card(bundle):
    return model_card(bundle)


def test_card_is_json_and_says_the_same_as_the_bundle(card, bundle):
    written = json.dumps(card.model_dump(mode="json"), allow_nan=False)
    assert ModelCard.model_validate_json(written) == card
    manifest = json.loads((bundle.directory / MANIFEST).read_bytes())
    held = json.loads(bundle.file(CARD))
    said = json.loads(written)
    for key in ("version", "trained_at", "versions", "data", "rule", "reason", "champion"):
        assert said[key] == manifest[key]
    assert said["threshold"] == bundle.threshold
    assert said["cost_ratio"] == manifest["cost_ratio"]
    assert said["settings"] == manifest["settings"]["svc_linear"]
    for key in held:
        assert said[key] == held[key]
    assert said["omissions"] == manifest["omissions"]
    assert said["product"] == {
        "name": bundle.product.name,
        "label": bundle.product.label.model_dump(),
    }


def test_card_has_evidence_of_the_rows_and_threshold_of_the_bundle(card, bundle, origin, trained):
    figures = card.evidence.figures
    assert figures.n == len(origin.rows.good) == bundle.manifest.data.rows
    assert figures.n_good == bundle.manifest.data.good
    assert card.evidence.threshold == bundle.threshold
    granted = trained.out_of_fold >= bundle.threshold
    assert figures.accuracy == pytest.approx((granted == origin.rows.good).mean())


def test_card_labels_candidates_and_fields_in_both_languages(card, bundle):
    labels = {row.name: row.label for row in card.candidates}
    assert labels["svc_linear"] == Text(en="SVC (linear)", fr="SVC (linéaire)")
    assert all(set(row.model_dump(mode="json")) >= {*METRICS, "name"} for row in card.candidates)
    assert len(card.importance) == len(bundle.product.inputs)
    for row in card.importance:
        assert row.label == bundle.product.by_name[row.field].label


def test_every_figure_and_candidate_has_its_words(product):
    assert tuple(FIGURES) == METRICS
    assert list(LABELS) == [c.name for c in candidates(product, seed=0)]


def test_limits_are_the_products_own_words(card, product, bundle):
    assert (card.target_meaning, card.limits) == (product.target_meaning, product.limits)
    assert len(card.limits) > 1
    mortgage = read_product("mortgage")
    other = model_card(dataclasses.replace(bundle, product=mortgage))
    assert (other.target_meaning, other.limits) == (mortgage.target_meaning, mortgage.limits)
    assert other.target_meaning != card.target_meaning


def test_limits_of_a_product_that_states_none(product, bundle):
    said = product.model_dump(exclude_defaults=True, exclude={"target_meaning", "limits"})
    silent = dataclasses.replace(bundle, product=Product.model_validate(said))
    written = model_card(silent).model_dump(mode="json")
    assert (written["target_meaning"], written["limits"]) == (None, [])


def test_card_content_is_what_training_found_out(bundle, trained):
    content = card_content(bundle)
    assert content.model_dump(mode="json") == json.loads(bundle.file(CARD))
    assert content.importance == trained.importance


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda held: held | {"evidence": None}, "evidence"),
        (lambda held: held | {"more": 1}, "more"),
        (lambda held: {"evidence": held["evidence"]}, "chosen_blind"),
        (lambda held: held | {"fairness": held["fairness"] | {"rows": "many"}}, "fairness.rows"),
    ],
)
def test_card_content_that_is_not_what_it_must_be(bundle, tmp_path, change, where):
    content = json.dumps(change(json.loads(bundle.file(CARD)))).encode()
    (tmp_path / CARD).write_bytes(content)
    files = bundle.manifest.files | {CARD: hashlib.sha256(content).hexdigest()}
    manifest = bundle.manifest.model_copy(update={"files": files})
    resealed = dataclasses.replace(bundle, directory=tmp_path, manifest=manifest)
    with pytest.raises(BundleTampered) as raised:
        model_card(resealed)
    assert str(raised.value).startswith(f"{tmp_path / CARD}: {where}: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        ("ml.card.card, ml.card.pictures, ml.bundle.reader", "sklearn pandas scipy matplotlib"),
        ("ml.card.markdown, ml.commands.train", "matplotlib"),  # until a training draws
    ],
)
def test_heavy_libraries_are_imported_by_none_but_those_who_use_them(modules, heavy):
    code = f"import sys, {modules}; print({{*'{heavy}'.split()}} & {{*sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
