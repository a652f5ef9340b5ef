"""How far ml/explaining/counterfactual.py looks, and what it says where nothing is found."""

import math

import numpy as np
import pytest

from ml.explaining.counterfactual import Counterfactual, nearest_granted
from tests.ml.explaining.search import changeable, only, ranges_of


@pytest.mark.parametrize("name", ["svc_linear", "svc_rbf"])
def test_nearest_granted_none_found_says_where_it_looked(scorer_for, base, product, name):
    changes = nearest_granted(
        product,
        scorer_for(name, product),
        base[1],
        threshold=1 - 1e-9,
        ranges={"loan_amount": (1, 10**6), "loan_term_months": (-5, 1_000)},
    )
    assert changes == [
        Counterfactual("loan_amount", "less", None, None, (500, 8_999)),
        Counterfactual("loan_term_months", "less", None, None, (6, 39)),
        Counterfactual("loan_term_months", "more", None, None, (41, 72)),
    ]


@pytest.mark.parametrize("name", ["svc_linear", "svc_rbf"])
def test_nearest_granted_at_exactly_the_threshold_is_granted(scorer_for, base, product, name):
    scorer, (_, application) = scorer_for(name, product), base
    values = range(8_999, 8_000, -1)
    one_by_one = [scorer.score({**application, "loan_amount": v}).probability for v in values]
    best = int(np.argmax(one_by_one))
    for threshold, found in (
        (one_by_one[best], values[best]),
        (math.nextafter(one_by_one[best], 1), None),
    ):
        changes = nearest_granted(
            product,
            scorer,
            application,
            threshold=threshold,
            ranges=ranges_of(product) | {"loan_amount": (8_001, 30_000)},
        )
        assert only(changes, "loan_amount", "less").value == found


def test_nearest_granted_where_nothing_is_on_a_side(scorer_for, base, product):
    application = base[1] | {"loan_amount": 601, "loan_term_months": 72}
    scorer, ranges = scorer_for("svc_linear", product), ranges_of(product)
    changes = nearest_granted(product, scorer, application, threshold=0.999, ranges=ranges)
    assert changes == [
        Counterfactual("loan_amount", "less", None, None, None),
        Counterfactual("loan_term_months", "less", None, None, (6, 71)),
        Counterfactual("loan_term_months", "more", None, None, None),
    ]


def test_nearest_granted_where_no_value_is_allowed(scorer_for, base, product):
    ranges = {"loan_amount": (60_000, 70_000), "loan_term_months": (100, 120)}
    changes = nearest_granted(
        product, scorer_for("svc_linear", product), base[1], threshold=0.1, ranges=ranges
    )
    assert [c[2:] for c in changes] == [(None, None, None)] * 3


@pytest.mark.parametrize("ranges", [(50, 60), (10, 20)])
def test_nearest_granted_of_a_value_outside_the_range_looks_at_the_range(
    scorer_for, base, product, ranges
):
    both = {"loan_amount": (601, 601), "loan_term_months": ranges}
    changes = nearest_granted(
        product, scorer_for("svc_linear", product), base[1], threshold=0.001, ranges=both
    )
    less, more = (only(changes, "loan_term_months", d) for d in ("less", "more"))
    expected = {(50, 60): (None, 50), (10, 20): (20, None)}[ranges]
    assert (less.value, more.value) == expected
    assert [c.searched for c in (less, more)] == [ranges if v else None for v in expected]


def test_nearest_granted_passes_no_limit_of_another_field(scorer_for, base, product):
    scorer, application = scorer_for("svc_linear", product), base[1]
    for amount, sides_of_the_amount in (("loan_amount", 1), ("purchase_price", 2)):
        changes = nearest_granted(
            changeable(product, "loan_amount", "purchase_price", amount=amount),
            scorer,
            application,
            threshold=0.9999,
            ranges=ranges_of(product),
        )
        searched = {(c.field, c.direction): c.searched for c in changes}
        expected = {
            ("loan_amount", "less"): (601, 8_999),
            ("loan_amount", "more"): (9_001, 20_000),
            ("purchase_price", "less"): (9_000, 19_999),
            ("purchase_price", "more"): (20_001, ranges_of(product)["purchase_price"][1]),
        }
        del expected[amount, "more"]
        assert searched == expected
        assert len([c for c in changes if c.field == "loan_amount"]) == sides_of_the_amount
