"""What ml/card/card.py promises."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ml.card.card import (
    FIGURES,
    IN_FRENCH,
    limits,
    model_card,
)
from ml.evaluation.performance import METRICS
from ml.product.definition import Product, read_product
from ml.training.candidates import candidates

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def card(bundle):
    return model_card(bundle)


def test_card_is_json_and_says_the_same_as_the_bundle(card, bundle):
    assert json.loads(json.dumps(card, allow_nan=False)) == card
    manifest = bundle.manifest
    for key in ("version", "trained_at", "versions", "data", "rule", "reason", "champion"):
        assert card[key] == manifest[key]
    assert card["threshold"] == bundle.threshold
    assert card["cost_ratio"] == manifest["cost_ratio"]
    assert card["settings"] == manifest["settings"]["svc_linear"]
    assert card["evidence"] == bundle.card["evidence"]
    assert card["fairness"] == bundle.card["fairness"]
    assert card["product"]["name"] == bundle.product.name


def test_card_has_evidence_of_the_rows_and_threshold_of_the_bundle(card, bundle, origin, trained):
    figures = card["evidence"]["figures"]
    assert figures["n"] == len(origin.data[1]) == bundle.manifest["data"]["rows"]
    assert figures["n_good"] == bundle.manifest["data"]["good"]
    assert card["evidence"]["threshold"] == bundle.threshold
    granted = trained.out_of_fold >= bundle.threshold
    assert figures["accuracy"] == pytest.approx((granted == origin.data[1]).mean())


def test_card_labels_candidates_and_fields_in_both_languages(card, bundle):
    labels = {row["name"]: row["label"] for row in card["candidates"]}
    assert labels["svc_linear"] == {"en": "SVC (linear)", "fr": "SVC (linéaire)"}
    assert all(set(row) >= {*METRICS, "name"} for row in card["candidates"])
    assert len(card["importance"]) == len(bundle.product.inputs)
    for row in card["importance"]:
        assert row["label"] == bundle.product.by_name[row["field"]].label.model_dump()


def test_every_figure_and_candidate_has_its_words(product):
    assert tuple(FIGURES) == METRICS
    assert list(IN_FRENCH) == [c.name for c in candidates(product, seed=0)]


def test_limits_are_the_products_own_words(card, product):
    found = limits(product)
    assert found["target_meaning"] == product.target_meaning.model_dump()
    assert found["limits"] == [limit.model_dump() for limit in product.limits]
    assert len(found["limits"]) > 1
    assert card["target_meaning"] == found["target_meaning"]
    assert card["limits"] == found["limits"]
    assert limits(read_product("mortgage"))["target_meaning"] != found["target_meaning"]


def test_limits_of_a_product_that_states_none(product):
    said = product.model_dump(exclude_defaults=True, exclude={"target_meaning", "limits"})
    assert limits(Product.model_validate(said)) == {"target_meaning": None, "limits": []}


def test_a_web_worker_can_show_a_card_without_scikit_learn_or_pandas():
    code = "import sys, ml.card; print({'sklearn', 'pandas', 'scipy'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
