"""What ml/explaining/counterfactual.py promises: the nearest value that is granted."""

import numpy as np
import pytest

from ml.explaining.counterfactual import nearest_granted
from ml.product.files import read_product
from ml.product.samples import examples
from ml.training.export import export_scorer
from tests.fixtures.models import with_optional
from tests.ml.explaining.search import (
    altered,
    by_force,
    changeable,
    check,
    frame_of,
    halfway,
    only,
    ranges_of,
    real,
    refused,
)


@pytest.mark.parametrize("name", ["svc_linear", "logistic", "svc_rbf"])
def test_nearest_granted_equals_brute_force(scorer_for, product, name):
    scorer = scorer_for(name, product)
    ranges = ranges_of(product)
    rows = [a for a in real(product) if a["loan_amount"] < 9_000]
    rows = refused(scorer, rows, count=30)
    assert any(None in a.values() for a in rows)
    assert check(product, scorer, rows, ranges) > 10
    random = refused(scorer, examples(product, count=500, seed=5, unseen=True), count=40)
    # Most of them ask for more than the upper end of this range.
    assert check(product, scorer, random, ranges | {"loan_amount": (601, 4_000)}) > 5


@pytest.mark.parametrize("threshold", [0.3, 0.8])
@pytest.mark.parametrize("name", ["svc_linear", "svc_rbf"])
def test_nearest_granted_at_another_threshold_equals_brute_force(
    scorer_for, product, name, threshold
):
    scorer = scorer_for(name, product)
    rows = refused(scorer, real(product), count=25, threshold=threshold)
    assert check(product, scorer, rows, ranges_of(product), threshold) > 5


@pytest.mark.parametrize("name", ["svc_linear", "logistic", "svc_rbf"])
def test_nearest_granted_of_a_mortgage_equals_brute_force(scorer_for, name):
    product = with_optional(read_product("mortgage"), "loan_term_months")
    scorer = scorer_for(name, product)
    ranges = ranges_of(product)
    assert ranges["loan_amount"][1] == 980_000
    term, top = changeable(product, "loan_term_months"), {"loan_amount": (2_000, 30_000)}
    found = 0
    applications = examples(product, count=30, seed=6, unseen=True)
    assert any(a["loan_term_months"] is None for a in applications)
    for number, application in enumerate(applications):
        threshold = halfway(scorer, application, "loan_term_months", range(6, 481))
        found += check(term, scorer, [application], ranges, threshold)
        if number < 5:
            threshold = halfway(scorer, application, "loan_amount", range(2_000, 30_001))
            found += check(product, scorer, [application], ranges | top, threshold)
    assert found > 30


def test_nearest_granted_in_a_wide_range_equals_brute_force(scorer_for):
    product = read_product("mortgage")
    scorer = scorer_for("svc_rbf", product)
    [application] = examples(product, count=1, seed=2)
    application["loan_amount"] = 1_500_000
    island = scorer.score_many(frame_of(application, "loan_amount", range(2_000, 980_000, 100)))
    # Only the highest values are granted, and they are few.
    threshold = float(np.quantile(island, 0.999))
    changes = nearest_granted(
        product, scorer, application, threshold=threshold, ranges=ranges_of(product)
    )
    found = only(changes, "loan_amount", "less").value
    around = range(found + 20_000, found - 1, -1)
    assert by_force(scorer, application, "loan_amount", around, threshold) == found
    assert (island[np.arange(2_000, 980_000, 100) > found] < threshold).all()


@pytest.mark.parametrize("name", ["svc_linear", "svc_rbf"])
def test_nearest_granted_of_a_divisor_equals_brute_force(scorer_for, product, name):
    scorer = scorer_for(name, product)
    divisor = changeable(product, "purchase_price", "monthly_income", "years_in_job")
    found = 0
    rows = [a for a in real(product) if a["purchase_price"] < 9_000]
    for application in refused(scorer, rows, count=12):
        # The price is over the amount, and cannot go below it.
        ranges = ranges_of(product) | {"purchase_price": (application["loan_amount"], 9_000)}
        found += check(divisor, scorer, [application], ranges)
    assert found > 5


def test_nearest_granted_without_a_value_is_the_largest_and_the_smallest(scorer_for):
    product = read_product("mortgage")
    scorer, ranges = scorer_for("logistic", product), ranges_of(product)
    [application] = examples(product, count=1, seed=9)
    application["loan_term_months"] = None
    values = range(6, 481)
    threshold = halfway(scorer, application, "loan_term_months", values)
    probability = scorer.score_many(frame_of(application, "loan_term_months", values))
    granted = [v for v, p in zip(values, probability, strict=True) if p >= threshold]
    changes = nearest_granted(product, scorer, application, threshold=threshold, ranges=ranges)
    less, more = (only(changes, "loan_term_months", d) for d in ("less", "more"))
    assert (less.value, more.value) == (granted[-1], granted[0])
    assert less.searched == more.searched == (6, 480)


def test_nearest_granted_where_a_higher_margin_is_a_worse_loan(trained, product):
    scorer = altered(export_scorer(trained.models["svc_linear"]), calibration=[1.3, 0.2])
    ranges, found = ranges_of(product), 0
    for application in real(product)[:20]:
        threshold = halfway(scorer, application, "loan_term_months", range(6, 73))
        found += check(product, scorer, [application], ranges, threshold)
    assert found > 20


def test_nearest_granted_through_zero_equals_brute_force(scorer_for):
    product = changeable(read_product("mortgage"), "net_worth", "credit_lines")
    scorer = scorer_for("svc_rbf", product)
    ranges, found = ranges_of(product) | {"net_worth": (-2_000, 1_000)}, 0
    for application in examples(product, count=12, seed=4):
        application["net_worth"] %= 500
        for field in ("net_worth", "credit_lines"):
            values = range(ranges[field][0], ranges[field][1] + 1)
            threshold = halfway(scorer, application, field, values)
            found += check(product, scorer, [application], ranges, threshold)
    assert found > 24


@pytest.mark.parametrize("kind", ["svc_linear", "logistic", "svc_rbf", "turned round"])
def test_nearest_granted_scores_few_values(scorer_for, trained, product, monkeypatch, kind):
    if kind == "turned round":
        scorer = altered(export_scorer(trained.models["svc_linear"]), calibration=[1.3, 0.2])
    else:
        scorer = scorer_for(kind, product)
    rows = refused(scorer, real(product), count=20)
    asked = []
    score = scorer.score
    monkeypatch.setattr(scorer, "score", lambda a: asked.append(a) or score(a))
    for application in rows:
        nearest_granted(product, scorer, application, threshold=0.5, ranges=ranges_of(product))
    assert len(asked) < 200 * len(rows)
