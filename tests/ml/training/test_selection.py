"""Tests of ml/training/selection.py."""

import math

import numpy as np
import pytest

from ml.evaluation.performance import figures
from ml.evaluation.reports import Figures
from ml.explaining.reasons import MAX_PLAYERS
from ml.product.definition import Product
from ml.product.files import read_product
from ml.training.candidates import LABELS, SVC_KERNELS, UNBOUND, candidates
from ml.training.selection import (
    DIRECTION_ERRORS,
    EXPLAINED,
    RULE,
    choose,
    chosen_blind,
    explainable,
    keep_directions,
)


def folds_of(costs, *, log_loss=0.5):
    """Return the figures of a fold for each cost; only cost and log loss matter."""
    losses = np.broadcast_to(log_loss, len(costs))
    same = dict.fromkeys(
        ("accuracy", "balanced_accuracy", "roc_auc", "pr_auc_refused", "brier"), 0.5
    )
    return [
        Figures(expected_cost=float(c), log_loss=float(loss), **same)
        for c, loss in zip(costs, losses, strict=True)
    ]


def chosen(folds, *, may_decide=None, k=5):
    return choose(folds, may_decide=may_decide or set(folds), k=k)


SPREAD = np.array([-0.02, -0.01, 0.0, 0.01, 0.02])
# The standard error of five differences with that spread: their standard deviation times the root
# of 1/5 + 1/4.
ERROR = math.sqrt(0.00025) * math.sqrt(0.45)
WORSE = {"svc_linear": folds_of([0.3] * 5)}


@pytest.mark.parametrize(
    ("gain", "champion"), [(0.98 * ERROR, "svc_rbf"), (1.02 * ERROR, "forest")]
)
def test_choose_another_only_beyond_one_standard_error(gain, champion):
    folds = WORSE | {
        "svc_rbf": folds_of([0.2] * 5),
        "logistic": folds_of([0.2] * 5),
        "forest": folds_of(0.2 - gain + SPREAD),
    }
    name, reason = chosen(folds)
    assert name == champion
    assert reason.en.startswith(f"The {LABELS[champion].en} decides")
    assert f"by {'only ' if champion == 'svc_rbf' else ''}{gain:.4f} (standard error" in reason.en
    assert f"(standard error {ERROR:.4f})." in reason.en
    assert reason.fr.startswith(f"Modèle retenu\u00a0: {LABELS[champion].fr}. ")
    assert f"de {gain:.4f} (erreur type {ERROR:.4f}).".replace("0.", "0,") in reason.fr


def test_choose_compares_the_same_folds():
    """Costs that vary together over the folds differ significantly by less than their spread."""
    folds = WORSE | {
        "svc_rbf": folds_of(0.2 + 10 * SPREAD),
        "forest": folds_of(0.19 + 10 * SPREAD + SPREAD / 10),
    }
    assert chosen(folds)[0] == "forest"


def test_choose_standard_error_depends_on_the_folds_of_one_cross_validation():
    folds = WORSE | {
        "svc_rbf": folds_of(0.2 + SPREAD),
        "forest": folds_of([0.2 - 0.98 * ERROR] * 5),
    }
    assert chosen(folds)[0] == "svc_rbf"
    assert chosen(folds, k=10)[0] == "forest"


def test_choose_no_candidate_is_cheaper():
    name, reason = chosen(WORSE | {"svc_rbf": folds_of([0.2] * 5)})
    assert name == "svc_rbf"
    assert reason.en == "The SVC (rbf) decides: no eligible candidate has a lower expected cost."


def test_choose_the_cheapest_of_those_beyond():
    folds = WORSE | {
        "svc_rbf": folds_of([0.20] * 5),
        "logistic": folds_of([0.19] * 5),
        "forest": folds_of([0.16] * 5),
    }
    assert chosen(folds)[0] == "forest"


@pytest.mark.parametrize("better", SVC_KERNELS)
def test_choose_between_two_svcs_by_cost(better):
    folds = {
        name: folds_of([0.19] * 5) if name == better else folds_of([0.2] * 5, log_loss=0.4)
        for name in SVC_KERNELS
    }
    assert chosen(folds)[0] == better


@pytest.mark.parametrize("better", SVC_KERNELS)
def test_choose_between_two_svcs_of_like_cost_by_log_loss(better):
    folds = {
        name: folds_of(0.2 + SPREAD, log_loss=0.4) if name == better else folds_of([0.199] * 5)
        for name in SVC_KERNELS
    }
    assert chosen(folds)[0] == better


@pytest.mark.parametrize(("better", "champion"), [(0.98, "svc_rbf"), (1.02, "logistic")])
def test_choose_another_of_like_cost_by_log_loss_beyond_its_error(better, champion):
    losses = 0.5 - better * ERROR + SPREAD
    folds = WORSE | {
        "svc_rbf": folds_of([0.2] * 5),
        "logistic": folds_of(0.201 + SPREAD, log_loss=losses),
    }
    name, reason = chosen(folds)
    assert name == champion
    if champion == "logistic":
        expected = "their costs do not differ by more than the error, and its log loss is lower by"
        assert f"{expected} {better * ERROR:.4f}" in reason.en
        assert "sa perte logarithmique est plus basse de" in reason.fr


def test_choose_a_lower_log_loss_does_not_make_up_for_a_higher_cost():
    folds = WORSE | {
        "svc_rbf": folds_of([0.2] * 5),
        "logistic": folds_of([0.21] * 5, log_loss=0.1),
    }
    assert chosen(folds)[0] == "svc_rbf"


def test_choose_by_the_cost_ratio_not_by_accuracy():
    """At a cost ratio of 5, a model with lower accuracy may cost less."""
    good = np.array([1] * 70 + [0] * 30)
    lenient, strict = np.full(100, 0.9), np.where(np.arange(100) < 60, 0.9, 0.1)
    found = {}
    for name, probability in (("svc_rbf", lenient), ("svc_linear", strict)):
        found[name] = [figures(good, probability, threshold=5 / 6, cost_ratio=5) for _ in range(5)]
    strict_figures, lenient_figures = found["svc_linear"][0], found["svc_rbf"][0]
    assert (strict_figures.expected_cost, lenient_figures.expected_cost) == (0.1, 1.5)
    assert chosen(found)[0] == "svc_linear"


@pytest.mark.parametrize(
    ("may_decide", "champion", "gain"),
    [
        ({"svc_rbf", "svc_linear"}, "svc_rbf", "0.0400"),
        ({"svc_rbf", "svc_linear", "logistic"}, "logistic", "0.0300"),
        ({"svc_rbf", "svc_linear", "logistic", "forest"}, "forest", None),
    ],
)
def test_choose_none_that_may_not_decide(may_decide, champion, gain):
    folds = WORSE | {
        "svc_rbf": folds_of([0.20] * 5),
        "logistic": folds_of([0.19] * 5),
        "forest": folds_of(0.16 + SPREAD),
    }
    name, reason = chosen(folds, may_decide=may_decide)
    assert name == champion
    error = f"(standard error {ERROR:.4f})"
    barred = f"The cost of the random forest is lower by {gain} {error}, but it is not eligible."
    assert (barred in reason.en) == bool(gain)
    assert ("Le coût de « forêt aléatoire » est inférieur" in reason.fr) == bool(gain)


def with_flags(product, count):
    """Return the product with `count` more fields."""
    definition = product.model_dump(exclude_defaults=True)
    label = {"en": "More", "fr": "Plus"}
    group = product.groups[0].name
    more = [
        {"name": f"more_{i}", "kind": "flag", "label": label, "group": group} for i in range(count)
    ]
    return Product.model_validate({**definition, "fields": [*definition["fields"], *more]})


def test_explainable_others_up_to_so_many_players(product):
    names = {c.name for c in candidates(product, seed=0)}
    # Eleven fields; the only ratio combines two of them.
    room = MAX_PLAYERS - 10
    assert explainable(product, names) == names
    assert explainable(with_flags(product, room), names) == names
    assert explainable(with_flags(product, room + 1), names) == EXPLAINED
    assert explainable(read_product("mortgage"), names) == {*SVC_KERNELS, "logistic"}


def test_rule_states_the_number_of_players_in_both_languages():
    assert f" {MAX_PLAYERS} fields" in RULE.en
    assert f" {MAX_PLAYERS} champs" in RULE.fr


@pytest.mark.parametrize(("gain", "kept"), [(-0.1, True), (0.98, True), (1.02, False)])
def test_directions_are_kept_unless_that_costs_more_than_two_errors(gain, kept):
    bound, free = folds_of([0.2] * 5), folds_of(0.2 - gain * DIRECTION_ERRORS * ERROR + SPREAD)
    folds = {"svc_rbf": folds_of([0.3] * 5), "svc_linear": bound, "svc_linear" + UNBOUND: free}
    found, costs = keep_directions(folds, k=5)
    assert found == {"svc_rbf": folds["svc_rbf"], "svc_linear": bound if kept else free}
    [cost] = costs
    assert (cost.candidate, cost.kept) == ("svc_linear", kept)
    assert (cost.gain, cost.error) == pytest.approx((gain * DIRECTION_ERRORS * ERROR, ERROR))
    assert f"more than {DIRECTION_ERRORS} standard errors" in RULE.en
    assert f"plus de {DIRECTION_ERRORS} erreurs types" in RULE.fr


def test_directions_that_no_candidate_has():
    folds = {name: folds_of([0.2] * 5) for name in SVC_KERNELS}
    assert keep_directions(folds, k=5) == (folds, ())


def test_chosen_blind_judges_each_fold_by_the_choice_in_the_others():
    """The forest is better over all folds, but not without one of the folds it is better in."""
    folds = WORSE | {
        "svc_rbf": folds_of([0.2] * 5),
        "forest": folds_of(0.2 - np.array([0.03, 0.03, 0.03, -0.03, 0.09])),
    }
    options = {"may_decide": set(folds), "k": 5}
    assert choose(folds, **options)[0] == "forest"
    # So the SVC is judged in all folds but the fourth, without which the forest decides.
    assert chosen_blind(folds, **options).expected_cost == pytest.approx((4 * 0.2 + 0.23) / 5)
    steady = folds | {"forest": folds_of([0.1] * 5)}
    assert chosen_blind(steady, **options).expected_cost == pytest.approx(0.1)


def test_chosen_blind_of_repeats_chooses_within_each():
    """In all folds together the forest is better, in the second repeat the SVC."""
    folds = {
        "svc_rbf": folds_of([0.2] * 10),
        "svc_linear": folds_of([0.3] * 10),
        "forest": folds_of([0.1] * 5 + [0.21] * 5),
    }
    options = {"may_decide": set(folds), "k": 5}
    assert choose(folds, **options)[0] == "forest"
    assert chosen_blind(folds, **options).expected_cost == pytest.approx((0.1 + 0.2) / 2)


def test_chosen_blind_keeps_directions_or_not():
    dear, cheap = folds_of([0.3] * 5), folds_of([0.2] * 5)
    folds = {
        "svc_rbf": [*folds_of([0.4] * 5)] * 2,
        "svc_linear": [*dear, *cheap],
        "svc_linear" + UNBOUND: [*cheap, *folds_of([0.1] * 5)],
    }
    found = chosen_blind(folds, may_decide=set(SVC_KERNELS), k=5)
    assert found.expected_cost == pytest.approx((0.2 + 0.1) / 2)
