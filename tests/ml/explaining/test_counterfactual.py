"""Tests of ml/explaining/counterfactual.py: the nearest values that are granted."""

import math

import numpy as np
import pytest

from ml.explaining.counterfactual import PAIRS_AT_ONCE, Suggestion, nearest_granted
from ml.product.files import read_product
from ml.product.samples import examples
from ml.training.export import export_scorer
from tests.fixtures.models import with_optional
from tests.ml.explaining.search import altered, by_force, changed, ranges_of, real, refused

CHAMPIONS = ["svc_linear", "svc_rbf", "boosting"]  # a margin of each form, and none


def found_alike(product, scorer, applications, *, ranges, threshold=0.5):
    """Compare with brute force; return how many fields each first suggestion changes."""
    kinds = []
    for application in applications:
        this = {"threshold": threshold, "ranges": ranges}
        changes = nearest_granted(product, scorer, application, **this)
        expected = by_force(product, scorer, application, **this)
        assert changes == expected
        kinds.append(len(changes.suggestions[0].values) if changes.suggestions else 0)
    return kinds


@pytest.mark.parametrize("name", ["svc_linear", "svc_rbf"])
def test_nearest_granted_equals_brute_force(scorer_for, product, name):
    scorer = scorer_for(name, product)
    rows = [a for a in real(product) if a["loan_amount"] < 6_000]
    rows = refused(scorer, rows, count=40)
    kinds = found_alike(product, scorer, rows, ranges=ranges_of(product))
    assert {0, 1, 2} == set(kinds)


def test_nearest_granted_of_a_mortgage_equals_brute_force(scorer_for):
    product = read_product("mortgage")
    scorer = scorer_for("svc_linear", product)
    rows = refused(scorer, real(product), count=6, threshold=0.9)
    ranges = ranges_of(product)
    kinds = found_alike(product, scorer, rows, ranges=ranges, threshold=0.9)
    assert 1 in kinds


def test_nearest_granted_of_a_pipeline_equals_brute_force(scorer_for, product):
    scorer = scorer_for("boosting", product)
    assert scorer.margin is None
    coarse = changed(product, fields={"loan_amount": {"step": 2_000}})
    rows = refused(scorer, real(product), count=3)
    assert any(found_alike(coarse, scorer, rows, ranges=ranges_of(product)))


def test_nearest_granted_of_other_fields_equals_brute_force(scorer_for, product):
    # One of them limits the amount, one may be empty, and one divides a ratio.
    scorer = scorer_for("svc_linear", product)
    fields = {
        "loan_amount": {"step": 500},
        "purchase_price": {"changeable": True, "step": 500},
        "monthly_income": {"changeable": True, "step": 100},
        "loan_term_months": {"changeable": False},
    }
    wide = changed(product, fields=fields, policy_rules=[])
    rows = refused(scorer, real(product), count=12, threshold=0.6)
    assert any(a["monthly_income"] is None for a in rows)
    kinds = found_alike(wide, scorer, rows, ranges=ranges_of(product), threshold=0.6)
    assert {1, 2} <= set(kinds)


@pytest.mark.parametrize("name", CHAMPIONS)
def test_nearest_granted_suggests_only_what_keeps_to_the_products_rule(scorer_for, product, name):
    scorer = scorer_for(name, product)
    rows = refused(scorer, real(product), count=60 if name == "svc_linear" else 5)
    ranges, suggested = ranges_of(product), 0
    for application in rows:
        changes = nearest_granted(product, scorer, application, threshold=0.5, ranges=ranges)
        for suggestion in changes.suggestions:
            loan = application | suggestion.values
            left = loan["monthly_income"] - loan["monthly_expenses"]
            assert loan["loan_amount"] / loan["loan_term_months"] <= left
            assert all(v % product.by_name[n].step == 0 for n, v in suggestion.values.items())
            suggested += 1
    assert suggested > 5 or name != "svc_linear"


def test_nearest_granted_suggests_nothing_where_a_rule_cannot_be_checked(scorer_for, product):
    scorer, ranges = scorer_for("svc_linear", product), ranges_of(product)
    without_rules = changed(product, policy_rules=[])
    rows = [a for a in real(product) if a["monthly_income"] is None]
    found = {"with": 0, "without": 0}
    for application in refused(scorer, rows, count=10):
        this = {"threshold": 0.5, "ranges": ranges}
        with_rules = nearest_granted(product, scorer, application, **this)
        found["with"] += len(with_rules.suggestions)
        assert with_rules.searched
        found["without"] += len(
            nearest_granted(without_rules, scorer, application, **this).suggestions
        )
    assert found["with"] == 0 < found["without"]


@pytest.mark.parametrize("bound", ["above", "below"])
def test_nearest_granted_breaks_a_rule_neither_above_nor_below(scorer_for, base, product, bound):
    texts = {"label": {"en": "", "fr": ""}, "reason": {"en": "", "fr": ""}}
    rule = {"name": "r", **texts, "then": "refer", "sum": {"loan_amount": 1}, bound: 7_000}
    ruled = changed(product, policy_rules=[rule])
    changes = nearest_granted(
        ruled, scorer_for("svc_linear", product), base[1], threshold=1e-9, ranges=ranges_of(product)
    )
    # The amount asked for breaks the first rule, and so would any other term.
    [first, *terms] = [suggestion.values for suggestion in changes.suggestions]
    assert first == {"loan_amount": 7_000 if bound == "above" else 8_950}
    assert terms == ([] if bound == "above" else [{"loan_term_months": v} for v in (36, 42)])


@pytest.mark.parametrize("name", ["svc_linear", "svc_rbf"])
def test_nearest_granted_none_found_says_where_it_looked(scorer_for, base, product, name):
    changes = nearest_granted(
        product,
        scorer_for(name, product),
        base[1],
        threshold=1 - 1e-9,
        ranges={"loan_amount": (1, 10**6), "loan_term_months": (-5, 1_000)},
    )
    searched = {"loan_amount": (500, 8_950), "loan_term_months": (6, 72)}
    assert changes == ([], searched)


def test_nearest_granted_at_exactly_the_threshold_is_granted(scorer_for, base, product):
    scorer, (_, application) = scorer_for("svc_linear", product), base
    free = changed(product, fields={"loan_term_months": {"changeable": False}}, policy_rules=[])
    values = range(8_950, 8_000, -50)
    alone = [scorer.score({**application, "loan_amount": v}).probability for v in values]
    best = int(np.argmax(alone))
    ranges = {"loan_amount": (8_001, 30_000)}
    at = nearest_granted(free, scorer, application, threshold=alone[best], ranges=ranges)
    assert at.suggestions == [({"loan_amount": values[best]}, alone[best])]
    higher = math.nextafter(alone[best], 1)
    assert not nearest_granted(
        free, scorer, application, threshold=higher, ranges=ranges
    ).suggestions


def test_nearest_granted_where_no_value_is_allowed(scorer_for, base, product):
    scorer = scorer_for("svc_linear", product)
    for ranges in (
        {"loan_amount": (60_000, 70_000), "loan_term_months": (100, 120)},
        {"loan_amount": (9_001, 9_049), "loan_term_months": (43, 47)},
    ):
        changes = nearest_granted(product, scorer, base[1], threshold=0.1, ranges=ranges)
        assert changes == ([], {})


def test_nearest_granted_of_an_empty_field_is_the_lowest(scorer_for):
    product = with_optional(read_product("mortgage"), "loan_term_months")
    free = changed(product, policy_rules=[])
    scorer = scorer_for("svc_linear", product)
    [application] = examples(product, count=1, seed=9)
    application |= {"loan_term_months": None, "loan_amount": 2_000}
    changes = nearest_granted(free, scorer, application, threshold=1e-9, ranges=ranges_of(product))
    assert [s.values for s in changes.suggestions] == [{"loan_term_months": 12}]


@pytest.mark.parametrize(
    ("granted", "nearest"),
    [
        ({(8_950, 48), (8_900, 36)}, (8_950, 48)),  # the smallest reduction of the amount
        ({(8_000, 6), (8_000, 48)}, (8_000, 48)),  # then the smallest change of the term
        ({(8_000, 42), (8_000, 36)}, (8_000, 36)),  # of two alike the lower
        ({(8_000, 44), (8_010, 42), (650, 66)}, (650, 66)),  # in the product's steps alone
        ({(650, 6)}, (650, 6)),  # the very last
        ({(600, 6), (8_000, 78)}, None),
    ],
)
def test_nearest_granted_pair(base, product, granted, nearest):
    def grants(frame):
        pairs = zip(frame["loan_amount"], frame["loan_term_months"], strict=True)
        return np.array([0.9 if pair in granted else 0.1 for pair in pairs])

    content = export_scorer(base[0].models["svc_linear"])
    scorer = altered(content, kind="pipeline", pipeline=grants)
    application, ranges = base[1] | {"loan_term_months": 39}, ranges_of(product)
    free = changed(product, policy_rules=[])
    changes = nearest_granted(free, scorer, application, threshold=0.5, ranges=ranges)
    names = ("loan_amount", "loan_term_months")
    expected = [Suggestion(dict(zip(names, nearest, strict=True)), 0.9)] if nearest else []
    assert changes.suggestions == expected
    assert PAIRS_AT_ONCE < (9_000 - 600) // 50 * 12  # the last are scored in a call of their own


def test_nearest_granted_pair_keeps_to_the_limit_that_one_sets_the_other(base, product):
    """Debts of at most the amount asked for may be more than a lower amount."""

    def grants(frame):
        pairs = zip(frame["loan_amount"], frame["outstanding_debt"], strict=True)
        granted = {(8_000, 8_500), (7_500, 7_500)}
        return np.array([0.9 if pair in granted else 0.1 for pair in pairs])

    content = export_scorer(base[0].models["svc_linear"])
    scorer = altered(content, kind="pipeline", pipeline=grants)
    fields = {
        "loan_amount": {"step": 500, "at_most": None},
        "outstanding_debt": {"changeable": True, "step": 500, "at_most": "loan_amount"},
        "loan_term_months": {"changeable": False},
    }
    limited = changed(product, fields=fields, policy_rules=[])
    application, ranges = base[1] | {"outstanding_debt": 0}, ranges_of(product)
    changes = nearest_granted(limited, scorer, application, threshold=0.5, ranges=ranges)
    nearest = {"loan_amount": 7_500, "outstanding_debt": 7_500}
    assert changes.suggestions == [Suggestion(nearest, 0.9)]
