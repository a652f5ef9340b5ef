"""What ml/training/selection.py promises."""

import math

import numpy as np
import pytest

from ml.evaluation.reports import Figures
from ml.explaining.reasons import MOST_PLAYERS
from ml.product.definition import Product, read_product
from ml.training.candidates import SVC_KERNELS, candidates
from ml.training.selection import (
    EXPLAINED,
    RULE,
    choose,
    explainable,
)


def folds_of(accuracies, *, roc_auc=0.8):
    others = {"balanced_accuracy": 0.5, "pr_auc_refused": 0.5, "brier": 0.25}
    return [Figures(accuracy=float(a), roc_auc=roc_auc, **others) for a in accuracies]


SPREAD = np.array([-0.02, -0.01, 0.0, 0.01, 0.02])
# Of five folds with that spread: its standard deviation times the root of 1/5 + 1/4.
ERROR = math.sqrt(0.00025) * math.sqrt(0.45)


@pytest.mark.parametrize(
    ("gain", "champion"), [(0.98 * ERROR, "svc_rbf"), (1.02 * ERROR, "forest")]
)
def test_choose_another_only_beyond_one_standard_error(gain, champion):
    folds = {
        "svc_rbf": folds_of(0.8 + SPREAD),
        "svc_linear": folds_of([0.7] * 5),
        "logistic": folds_of([0.8] * 5),
        "forest": folds_of(0.8 + gain + SPREAD[::-1]),
    }
    chosen, reason = choose(folds, may_decide=set(folds), k=5)
    assert chosen == champion
    assert reason.en.startswith(f"{champion} decides")
    assert f"by {gain:.4f}, standard error {ERROR:.4f}." in reason.en
    french = f"de {gain:.4f}, erreur type {ERROR:.4f}".replace(".", ",")
    assert reason.fr.startswith(f"{champion} décide")
    assert f"{french}." in reason.fr


def test_choose_standard_error_depends_on_the_folds_of_one_cross_validation():
    folds = {
        "svc_rbf": folds_of(0.8 + SPREAD),
        "svc_linear": folds_of([0.7] * 5),
        "forest": folds_of([0.8 + 0.98 * ERROR] * 5),
    }
    assert choose(folds, may_decide=set(folds), k=5)[0] == "svc_rbf"
    assert choose(folds, may_decide=set(folds), k=10)[0] == "forest"


def test_choose_no_candidate_is_more_accurate():
    folds = {"svc_rbf": folds_of([0.8] * 5), "svc_linear": folds_of([0.7] * 5)}
    chosen, reason = choose(folds, may_decide=set(folds), k=5)
    assert chosen == "svc_rbf"
    assert reason.en == "svc_rbf decides: no candidate that may is more accurate."


def test_choose_the_most_accurate_of_those_beyond():
    folds = {
        "svc_rbf": folds_of([0.80] * 5),
        "svc_linear": folds_of([0.70] * 5),
        "logistic": folds_of([0.81] * 5),
        "forest": folds_of([0.84] * 5),
    }
    assert choose(folds, may_decide=set(folds), k=5)[0] == "forest"


@pytest.mark.parametrize("better", SVC_KERNELS)
def test_choose_between_two_svcs_by_accuracy_not_by_roc_auc(better):
    folds = {
        name: folds_of([0.81] * 5) if name == better else folds_of([0.8] * 5, roc_auc=0.9)
        for name in SVC_KERNELS
    }
    assert choose(folds, may_decide=set(folds), k=5)[0] == better


def test_choose_challenger_with_higher_roc_auc_alone_does_not_win():
    folds = {
        "svc_rbf": folds_of([0.8] * 5),
        "svc_linear": folds_of([0.8] * 5),
        "forest": folds_of([0.8] * 5, roc_auc=0.99),
    }
    assert choose(folds, may_decide=set(folds), k=5)[0] == "svc_rbf"


@pytest.mark.parametrize(
    ("may_decide", "champion", "gain"),
    [
        ({"svc_rbf", "svc_linear"}, "svc_rbf", "0.0400"),
        ({"svc_rbf", "svc_linear", "logistic"}, "logistic", "0.0300"),
        ({"svc_rbf", "svc_linear", "logistic", "forest"}, "forest", None),
    ],
)
def test_choose_none_that_may_not_decide(may_decide, champion, gain):
    folds = {
        "svc_rbf": folds_of([0.80] * 5),
        "svc_linear": folds_of([0.70] * 5),
        "logistic": folds_of([0.81] * 5),
        "forest": folds_of([0.84] * 5),
    }
    chosen, reason = choose(folds, may_decide=may_decide, k=5)
    assert chosen == champion
    barred = f"forest is more accurate by {gain} but may not: its single decisions cannot"
    assert (barred in reason.en) == bool(gain)
    assert ("forest est plus exact" in reason.fr) == bool(gain)


def with_flags(product, count):
    """The product with so many more fields."""
    said = product.model_dump(exclude_defaults=True)
    label = {"en": "More", "fr": "Plus"}
    group = product.groups[0].name
    more = [
        {"name": f"more_{i}", "kind": "flag", "label": label, "group": group} for i in range(count)
    ]
    return Product.model_validate({**said, "fields": [*said["fields"], *more]})


def test_explainable_others_up_to_so_many_players(product):
    names = {c.name for c in candidates(product, seed=0)}
    # Eleven fields, of which the one ratio joins two.
    room = MOST_PLAYERS - 10
    assert explainable(product, names) == names
    assert explainable(with_flags(product, room), names) == names
    assert explainable(with_flags(product, room + 1), names) == EXPLAINED
    assert explainable(read_product("mortgage"), names) == {*SVC_KERNELS, "logistic"}


def test_rule_states_the_number_of_players_in_both_languages():
    assert f" {MOST_PLAYERS} fields" in RULE.en
    assert f" {MOST_PLAYERS} champs" in RULE.fr
