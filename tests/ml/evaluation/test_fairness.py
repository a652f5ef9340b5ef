"""Tests of ml/evaluation/fairness.py: figures and verdicts."""

import math

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import demographic_parity_ratio, equal_opportunity_difference

from ml.card.fairness_table import FIGURES, as_text
from ml.evaluation.fairness import assess
from ml.evaluation.fairness_reports import Ratio
from ml.product.tolerances import Fairness
from tests.ml.evaluation.counts import EVEN, groups_of, rows


def test_assess_gives_hand_computed_figures(mortgage):
    counts = {"female": (56, 14, 4, 26), "male": (48, 32, 52, 68)}
    attribute, found = groups_of(mortgage, "protected_sex", counts)
    assert attribute.reference == "male"
    male, female = found["male"], found["female"]
    assert (male.n, male.n_good, female.n, female.n_good) == (200, 80, 100, 70)
    assert male.grant_rate.value == pytest.approx(100 / 200)
    assert male.good_rate.value == pytest.approx(80 / 200)
    assert male.false_refusals.value == pytest.approx(32 / 80)
    assert male.grant_ratio is None
    assert male.equal_opportunity_difference is None
    assert male.verdict == "reference"
    assert female.grant_rate.value == pytest.approx(60 / 100)
    assert female.good_rate.value == pytest.approx(70 / 100)
    assert female.grant_ratio.value == pytest.approx(1.2)
    assert female.false_refusals.value == pytest.approx(14 / 70)
    # Newcombe 1998, table II, method 10: 56/70 and 48/80
    difference = {"value": 0.2, "low": 0.0524, "high": 0.3339}
    assert dict(female.equal_opportunity_difference) == pytest.approx(difference, abs=5e-5)
    assert (female.verdict, female.findings) == ("outside", ("equal_opportunity_difference",))


@pytest.mark.parametrize(
    ("cases", "total", "low", "high"),
    [  # Newcombe 1998, two-sided intervals for the single proportion, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_assess_rates_have_wilson_s_interval(mortgage, cases, total, low, high):
    counts = {"male": (cases, total - cases, 0, 0)}
    _, found = groups_of(mortgage, "protected_sex", counts, smallest_group=20)
    interval = {"value": cases / total, "low": low, "high": high}
    assert dict(found["male"].grant_rate) == pytest.approx(interval, abs=5e-5)


def test_assess_ratio_has_katz_s_interval(mortgage):
    # The trial of aspirin in Agresti, Categorical Data Analysis: relative risk 1.82, 1.43 to 2.31
    counts = {"female": (0, 0, 189, 10_845), "male": (0, 0, 104, 10_933)}
    _, found = groups_of(mortgage, "protected_sex", counts)
    ratio = (189 / 11_034) / (104 / 11_037)
    error = math.sqrt(1 / 189 - 1 / 11_034 + 1 / 104 - 1 / 11_037)
    low, high = ratio * math.exp(-1.959964 * error), ratio * math.exp(1.959964 * error)
    expected = {"value": ratio, "low": low, "high": high}
    assert dict(found["female"].grant_ratio) == pytest.approx(expected, rel=1e-6)
    assert [round(x, 2) for x in (ratio, low, high)] == [1.82, 1.43, 2.31]


def test_assess_agrees_with_fairlearn_s_own_comparison(mortgage):
    frame, answers = rows("protected_sex", {"male": (50, 10, 7, 23), "female": (31, 9, 3, 17)})
    found = assess(mortgage, frame, **answers).attributes[0].groups[1]
    same = {"y_true": answers["good"], "y_pred": answers["granted"].astype(int)}
    ratio = demographic_parity_ratio(**same, sensitive_features=frame["protected_sex"])
    gap = equal_opportunity_difference(**same, sensitive_features=frame["protected_sex"])
    assert found.name == "female"
    assert found.grant_ratio.value == pytest.approx(ratio)
    assert abs(found.equal_opportunity_difference.value) == pytest.approx(gap)


def test_assess_group_below_the_smallest_is_never_a_pass(mortgage):
    counts = {"white": EVEN, "black": (29, 0, 0, 0), "hispanic": (30, 0, 0, 0)}
    _, found = groups_of(mortgage, "protected_race", counts)
    assert (found["black"].n, found["black"].n_good) == (29, 29)
    assert [getattr(found["black"], name) for name in FIGURES] == [None] * len(FIGURES)
    assert (found["black"].verdict, found["black"].findings) == ("not_assessable", ())
    assert None not in [getattr(found["hispanic"], name) for name in FIGURES]
    assert found["hispanic"].verdict == "outside"


@pytest.mark.parametrize(
    ("few", "verdict", "findings"),
    [((25, 4, 25, 4), "outside", ("grant_ratio",)), ((15, 14, 14, 15), "not_assessable", ())],
)
def test_assess_few_good_rows_are_never_a_pass(mortgage, few, verdict, findings):
    _, found = groups_of(mortgage, "protected_sex", {"male": EVEN, "female": few})
    female = found["female"]
    assert female.grant_rate is not None
    assert female.grant_ratio is not None
    assert female.equal_opportunity_difference is None
    assert female.false_refusals is None
    assert (female.verdict, female.findings) == (verdict, findings)


def test_assess_reference_with_few_good_rows_lets_nothing_pass(mortgage):
    counts = {"male": (0, 0, 50, 50), "female": (30, 15, 0, 15)}
    _, found = groups_of(mortgage, "protected_sex", counts)
    assert found["male"].verdict == "reference"
    assert found["male"].false_refusals is None
    assert found["female"].equal_opportunity_difference is None
    assert found["female"].false_refusals.value == pytest.approx(1 / 3)
    assert found["female"].grant_ratio.value == pytest.approx(1)
    assert found["female"].verdict == "not_assessable"


def test_assess_group_without_grants(mortgage):
    _, found = groups_of(mortgage, "protected_sex", {"male": EVEN, "female": (0, 40, 0, 40)})
    female = found["female"]
    assert female.grant_rate.value == female.grant_rate.low == 0
    assert female.grant_ratio == Ratio(value=0, low=None, high=None)
    assert female.findings == ("grant_ratio", "equal_opportunity_difference")


@pytest.mark.parametrize(
    ("female", "verdict"), [((0, 40, 1, 39), "outside"), ((0, 40, 0, 40), "not_assessable")]
)
def test_assess_reference_without_grants_has_no_ratio(mortgage, female, verdict):
    _, found = groups_of(mortgage, "protected_sex", {"male": (0, 50, 0, 50), "female": female})
    assert found["female"].grant_ratio is None
    assert found["female"].equal_opportunity_difference.value == 0
    assert found["female"].verdict == verdict


def test_assess_all_granted(mortgage):
    counts = {"male": (60, 0, 40, 0), "female": (40, 0, 20, 0)}
    _, found = groups_of(mortgage, "protected_sex", counts)
    assert found["female"].grant_ratio == Ratio(value=1, low=None, high=None)
    assert found["female"].grant_rate.high == 1
    assert found["female"].false_refusals.value == 0
    assert found["female"].verdict == "within"


def test_assess_one_group_has_nothing_beside_it(mortgage):
    attribute, found = groups_of(mortgage, "protected_sex", {"female": EVEN})
    assert attribute.reference == "female"
    assert {name: g.verdict for name, g in found.items()} == {
        "male": "not_assessable",
        "female": "reference",
    }
    assert found["male"].n == 0


def test_assess_without_protected_columns(mortgage):
    answers = dict.fromkeys(("good", "granted", "probability"), np.ones(3))
    found = assess(mortgage, pd.DataFrame(index=range(3)), **answers)
    assert (found.rows, found.attributes) == (3, ())
    assert as_text(found) == "No protected column to compare."


def test_assess_reference_is_the_largest_group_and_the_first_of_two(mortgage):
    counts = {"hispanic": EVEN, "black": EVEN, "white": (40, 10, 10, 39)}
    attribute, _ = groups_of(mortgage, "protected_race", counts)
    assert attribute.reference == "black"


@pytest.mark.parametrize(
    ("female", "findings"),
    [
        ((80, 20, 50, 50), ("grant_ratio", "equal_opportunity_difference")),
        ((50, 50, 50, 50), ("equal_opportunity_difference",)),
        ((70, 30, 9, 91), ("grant_ratio",)),
        ((70, 30, 30, 70), ()),
    ],
)
def test_assess_limits_hold_in_both_directions(mortgage, female, findings):
    counts = {"male": (65, 35, 35, 66), "female": female}
    _, found = groups_of(mortgage, "protected_sex", counts)
    assert found["female"].findings == findings
    assert found["female"].verdict == ("outside" if findings else "within")


def test_assess_figure_at_its_limit_is_within(mortgage):
    assert 0.72 / 0.9 < 0.8  # what binary makes of it
    assert 0.8 - 0.7 > 0.1
    counts = {"male": (28, 12, 152, 8), "female": (40, 10, 32, 18)}
    _, found = groups_of(mortgage, "protected_sex", counts)
    assert found["female"].grant_ratio.value == pytest.approx(0.8)
    assert found["female"].equal_opportunity_difference.value == pytest.approx(0.1)
    assert found["female"].verdict == "within"


def test_assess_limits_are_the_product_s_unless_given(mortgage):
    frame, answers = rows("protected_sex", {"male": EVEN, "female": (35, 15, 10, 40)})
    usual = assess(mortgage, frame, **answers)
    assert usual.limits == mortgage.fairness
    assert usual.attributes[0].groups[1].verdict == "within"
    strict = assess(mortgage, frame, **answers, limits=Fairness(grant_ratio=0.95, difference=0.05))
    assert strict.limits == Fairness(grant_ratio=0.95, difference=0.05, smallest_group=30)
    assert strict.attributes[0].groups[1].findings == (
        "grant_ratio",
        "equal_opportunity_difference",
    )
