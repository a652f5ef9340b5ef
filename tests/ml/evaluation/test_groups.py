"""Tests of ml/evaluation/groups.py, and of its results in the fairness report."""

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ml.evaluation.fairness import assess
from ml.evaluation.groups import FEWEST_OF_EACH, area, holm, miscalibration
from ml.product.tolerances import Fairness
from tests.ml.evaluation.counts import EVEN, rows


def test_miscalibration_of_the_separated_of_the_shipped_rows():
    """99 rows with the mean probability .669, of which 51 are good: z is 4.0."""
    probability = np.concatenate([np.full(50, 0.95), np.full(49, 0.382)])
    good = np.array([1] * 51 + [0] * 48)
    assert probability.mean() == pytest.approx(0.669, abs=5e-4)
    spread = math.sqrt(50 * 0.95 * 0.05 + 49 * 0.382 * 0.618)
    z = (probability.sum() - 51) / spread
    p_value = miscalibration(good, probability)
    assert z > 3.9
    assert p_value == pytest.approx(math.erfc(z / math.sqrt(2)))
    assert p_value < 1e-4


def test_miscalibration_is_found_by_chance_as_often_as_it_says():
    rng = np.random.default_rng(0)
    probability = rng.uniform(0.1, 0.9, 200)
    p_values = [
        miscalibration((rng.random(200) < probability).astype(int), probability)
        for _ in range(2000)
    ]
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize(("good", "p_value"), [([1, 1], 1.0), ([1, 0], 0.0)])
def test_miscalibration_of_certain_probabilities(good, p_value):
    assert miscalibration(np.array(good), np.array([1.0, 1.0])) == p_value


def test_holm_by_hand():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_area_is_scikit_learn_s_with_ties_and_delong_s_variance():
    rng = np.random.default_rng(1)
    good = rng.integers(0, 2, 60)
    probability = (0.3 * good + rng.random(60)).round(1)
    found = area(good, probability)
    assert found.value == pytest.approx(roc_auc_score(good, probability))
    highs, lows = probability[good == 1], probability[good == 0]
    pairs = (highs[:, None] > lows) + 0.5 * (highs[:, None] == lows)
    variance = pairs.mean(axis=1).var(ddof=1) / len(highs)
    variance += pairs.mean(axis=0).var(ddof=1) / len(lows)
    assert found.high - found.value == pytest.approx(1.959964 * math.sqrt(variance), rel=1e-6)
    assert found.value - found.low == pytest.approx(found.high - found.value)


def test_area_needs_some_of_each_and_stays_within_its_ends():
    good = np.array([1] * FEWEST_OF_EACH + [0] * FEWEST_OF_EACH)
    probability = good + np.linspace(0, 1.2, 2 * FEWEST_OF_EACH)[::-1]
    assert area(good, probability).high <= 1
    assert area(good[1:], probability[1:]) is None
    assert area(good[:-1], probability[:-1]) is None


def test_assess_finds_a_group_whose_probabilities_are_wrong(mortgage):
    counts = {"white": EVEN, "black": (40, 11, 10, 38), "hispanic": EVEN}
    frame, answers = rows("protected_race", counts)
    black = (frame["protected_race"] == "black").to_numpy()
    spread = np.tile([0.93, 0.4], len(frame))[: len(frame)]
    answers["probability"] = np.where(black, spread, answers["probability"])
    found = {g.name: g for g in assess(mortgage, frame, **answers).attributes[0].groups}
    own, others = found["black"], (found["white"], found["hispanic"])
    single = miscalibration(answers["good"][black], spread[black])
    assert own.predicted == pytest.approx(spread[black].mean())
    assert own.good_rate.value == pytest.approx(51 / 99)
    assert own.calibration_p == pytest.approx(3 * single)  # of three groups, the least likely
    assert own.findings == ("calibration",)
    assert own.verdict == "outside"
    assert [g.calibration_p for g in others] == [1.0, 1.0]
    assert own.roc_auc.low < own.roc_auc.value < own.roc_auc.high


def test_assess_calibration_below_the_smallest_group_and_of_the_reference(mortgage):
    frame, answers = rows("protected_race", {"white": (60, 20, 10, 30), "black": (9, 9, 5, 6)})
    answers["probability"] = np.full(len(frame), 0.9)
    white, black = (
        next(g for g in assess(mortgage, frame, **answers).attributes[0].groups if g.name == name)
        for name in ("white", "black")
    )
    assert (white.verdict, white.findings) == ("reference", ("calibration",))
    assert (black.verdict, black.predicted, black.calibration_p) == ("not_assessable", None, None)
    assert black.roc_auc is None


def test_assess_corrects_for_the_groups_of_all_fields(mortgage):
    frame, answers = rows("protected_race", {"white": EVEN, "black": EVEN})
    answers["probability"] = answers["probability"] + 0.12 * (frame["protected_race"] == "black")
    alone = assess(mortgage, frame, **answers).attributes[0]
    sexes = frame.assign(protected_sex=np.tile(["male", "female"], 100))
    both = assess(mortgage, sexes, **answers, limits=Fairness()).attributes[0]
    p_values = [next(g for g in a.groups if g.name == "black").calibration_p for a in (alone, both)]
    assert p_values[1] == pytest.approx(2 * p_values[0])  # four groups in place of two
