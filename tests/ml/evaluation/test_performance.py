"""Tests of ml/evaluation/performance.py."""

import json
import math

import numpy as np
import pytest
from sklearn.metrics import (
    precision_score,
    recall_score,
)

from ml.evaluation.performance import (
    METRICS,
    evidence,
    figures,
    threshold_for,
)
from ml.evaluation.reports import Evidence

# Six rows in ascending order of probability. At the threshold .5 four are granted, one of them bad.
GOOD = np.array([0, 1, 0, 1, 1, 1])
PROBABILITY = np.array([0.1, 0.3, 0.5, 0.6, 0.8, 0.9])


@pytest.fixture(scope="module")
def drawn():
    """Many calibrated rows: of those with probability p, the share p is good."""
    rng = np.random.default_rng(5)
    probability = rng.beta(3, 1.5, size=4000).round(4)
    return (rng.random(4000) < probability).astype(int), probability


def found_of(drawn, *, threshold=0.5, cost_ratio=1.0):
    good, probability = drawn
    return evidence(good=good, probability=probability, threshold=threshold, cost_ratio=cost_ratio)


@pytest.mark.parametrize(("cost_ratio", "threshold"), [(1, 0.5), (3, 0.75), (0.25, 0.2), (9, 0.9)])
def test_threshold_for_is_where_both_errors_cost_the_same(cost_ratio, threshold):
    found = threshold_for(cost_ratio)
    assert found == pytest.approx(threshold)
    assert found * 1 == pytest.approx((1 - found) * cost_ratio)


def test_figures_equal_those_by_hand():
    good = np.array([1, 1, 1, 0, 0])
    probability = np.array([0.9, 0.5, 0.3, 0.6, 0.1])
    found = figures(good, probability, threshold=0.5, cost_ratio=3)
    # The first two rows, which are good, and the fourth, which is bad at exactly 0.5, are granted.
    assert found.expected_cost == pytest.approx((3 + 1) / 5)  # a bad one granted, a good refused
    assert found.log_loss == pytest.approx(-np.log([0.9, 0.5, 0.3, 0.4, 0.9]).mean())
    assert found.accuracy == pytest.approx(3 / 5)
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 1 / 2) / 2)
    # Of the 6 pairs of a good and a bad row, 4 are in the right order.
    assert found.roc_auc == pytest.approx(4 / 6)
    # In ascending order: bad, good, good, bad, good. Recall rises at precision 1/1 and 2/4.
    assert found.pr_auc_refused == pytest.approx((1 / 1 + 2 / 4) / 2)
    assert found.brier == pytest.approx((0.01 + 0.25 + 0.49 + 0.36 + 0.01) / 5)
    assert tuple(found.model_dump()) == METRICS


def test_evidence_can_be_written_as_json(drawn):
    for threshold in (0.5, 0.0, 1.1):  # all granted, none granted
        found = found_of(drawn, threshold=threshold)
        written = json.dumps(found.model_dump(mode="json"), allow_nan=False)
        assert Evidence.model_validate_json(written) == found


def test_evidence_states_its_rows_and_what_it_was_asked(drawn):
    good, probability = drawn
    found = found_of(drawn, threshold=0.6, cost_ratio=1.5)
    assert found.threshold == 0.6
    assert found.cost_ratio == 1.5
    expected = figures(good, probability, threshold=0.6, cost_ratio=1.5)
    assert found.figures.model_dump() == expected.model_dump() | {
        "n": 4000,
        "n_good": int(good.sum()),
    }


def test_calibration_bins_hold_equal_counts_by_rising_probability():
    order = np.random.default_rng(0).permutation(43)
    probability = np.linspace(0.01, 0.99, 43)
    good = (np.arange(43) % 3 == 0).astype(int)
    found = found_of((good[order], probability[order])).calibration
    parts = [slice(0, 5), slice(5, 10), slice(10, 15)]  # 43 = 3 · 5 + 7 · 4
    parts += [slice(15 + 4 * i, 19 + 4 * i) for i in range(7)]
    gaps = 0.0
    for b, part in zip(found.bins, parts, strict=True):
        assert b.n == len(good[part])
        assert b.expected == pytest.approx(probability[part].mean())
        assert b.observed == pytest.approx(good[part].mean())
        gaps += b.n * abs(probability[part].mean() - good[part].mean())
    assert found.expected_error == pytest.approx(gaps / 43)


def test_calibration_interval_is_wilsons():
    # Ten bins of ten rows, eight good in each: Wilson's interval by hand, with z = 1.96.
    good = np.tile([1] * 8 + [0] * 2, 10)
    found = found_of((good, np.linspace(0, 1, 100))).calibration.bins
    z = 1.959964
    middle = (0.8 + z**2 / 20) / (1 + z**2 / 10)
    half = z / (1 + z**2 / 10) * math.sqrt(0.8 * 0.2 / 10 + z**2 / 400)
    for b in found:
        assert (b.low, b.high) == pytest.approx((middle - half, middle + half), abs=1e-6)


def test_calibration_of_probabilities_that_are_right(drawn):
    found = found_of(drawn).calibration
    assert found.expected_error < 0.03
    within = [b.low <= b.expected <= b.high for b in found.bins]
    assert sum(within) >= 8


@pytest.mark.parametrize("threshold", [0.35, 0.5, 0.8123])
def test_operating_point_is_where_the_threshold_decides(drawn, threshold):
    good, probability = drawn
    granted = (probability >= threshold).astype(int)
    found = found_of(drawn, threshold=threshold)
    point = found.operating_point
    assert point.good_granted == pytest.approx(recall_score(good, granted))
    assert point.bad_granted == pytest.approx(1 - recall_score(good, granted, pos_label=0))
    assert point.precision == pytest.approx(precision_score(good, granted, pos_label=0))
    assert found.base_rate == pytest.approx(1 - good.mean())


def test_precision_without_any_refusal_is_none(drawn):
    point = found_of(drawn, threshold=0.0).operating_point
    assert point == (1, 1, None)


def test_thresholds_equal_those_counted_by_hand():
    found = found_of((GOOD, PROBABILITY), threshold=0.75, cost_ratio=3.0).thresholds
    rows = {row.threshold: row for row in found}
    assert list(rows) == [n / 20 for n in range(1, 20)]
    assert [t for t, row in rows.items() if row.used] == [0.75]
    assert rows[0.5].model_dump() == {
        "threshold": 0.5,
        "grant_rate": 4 / 6,
        "granted": 4,
        "bad_granted": 1,
        "bad_rate": 1 / 4,
        "good_refused": 1,
        "cost": 3 * 1 + 1,
        "cost_per_1000": pytest.approx(1000 * 4 / 6),
        "used": False,
    }
    assert (rows[0.75].granted, rows[0.75].bad_granted, rows[0.75].cost) == (2, 0, 2)
    assert (rows[0.05].granted, rows[0.05].cost) == (6, 6)
    assert rows[0.95].bad_rate is None
    assert rows[0.95].cost == 4


@pytest.mark.parametrize(
    ("threshold", "count", "place"),
    [(0.5, 19, 9), (0.1 + 0.2, 19, 5), (0.62, 20, 12), (0.01, 20, 0)],
)
def test_thresholds_hold_the_one_used_once(drawn, threshold, count, place):
    found = found_of(drawn, threshold=threshold).thresholds
    assert len(found) == count
    assert [i for i, row in enumerate(found) if row.used] == [place]
    assert found[place].threshold == threshold
    assert [row.threshold for row in found] == sorted(row.threshold for row in found)
