"""Tests of the comparison of two models that may be looked at every day."""

import math

import numpy as np
import pytest

from ml.monitoring.comparison import BETS, GainTest, PairTest
from ml.monitoring.sequential import LOG_ALARM


def noisy(random, truth, scale):
    odds = np.log(truth / (1 - truth)) + random.normal(0, scale, len(truth))
    return 1 / (1 + np.exp(-odds))


def loans(random, count, *, champion, challenger):
    """The probabilities of both models, each with its own error, and the outcomes."""
    truth = random.uniform(0.5, 0.98, count)
    pair = [noisy(random, truth, scale) for scale in (champion, challenger)]
    return (*pair, random.random(count) < truth)


def test_evidence_is_the_mean_of_the_bets():
    test, values = GainTest(), [0.3, -0.5, 1.0]
    for value in values:
        test.add(np.array([value]))
    stakes = [math.prod(1 + bet * value for value in values) for bet in BETS]
    assert test.evidence == pytest.approx(math.log(sum(stakes) / len(stakes)), rel=1e-12)
    assert test.highest == pytest.approx(test.evidence)
    assert test.seen == 3


def test_no_value_loses_everything():
    """So later values always count."""
    test = GainTest()
    test.add(np.array([-1.0] * 10))
    assert np.isfinite(test.logs).all()
    assert test.highest == 0


def test_tests_are_of_brier_scores_and_mirror_each_other():
    random, test = np.random.default_rng(1), PairTest()
    champion, challenger, good = loans(random, 300, champion=1, challenger=0.2)
    test.add(champion, challenger, good)
    assert test.champion / 300 == pytest.approx(np.mean((champion - good) ** 2))
    assert test.challenger / 300 == pytest.approx(np.mean((challenger - good) ** 2))
    turned = PairTest()
    turned.add(challenger, champion, good)
    assert test.better.evidence == pytest.approx(turned.worse.evidence)
    assert test.worse.evidence == pytest.approx(turned.better.evidence)
    assert test.better.evidence > test.worse.evidence


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_equal_models_raise_alarms_as_rarely_as_stated(scale):
    """400 quarters of 1,000 loans: one alarm is expected at most, of each test."""
    alarms = np.zeros(2, dtype=int)
    for run in range(400):
        random, test = np.random.default_rng(run), PairTest()
        for _ in range(50):
            test.add(*loans(random, 20, champion=scale, challenger=scale))
        alarms += (test.better.alarm, test.worse.alarm)
    assert alarms.max() <= 4  # more than 4 has a probability of 0.004 at the stated share


def test_challenger_that_is_worse_on_average_is_not_called_better():
    """Not even if it is better on most loans."""
    random, test = np.random.default_rng(3), PairTest()
    for _ in range(500):
        truth = random.uniform(0.6, 0.9, 20)
        good = random.random(20) < truth
        rare = random.random(20) < 0.1
        test.add(noisy(random, truth, 0.3), np.where(rare, 1 - truth, truth), good)
    assert not test.better.alarm
    assert test.worse.alarm


@pytest.mark.parametrize(("scale", "most"), [(0.5, 4_000), (1.0, 1_000), (1.5, 500)])
def test_differences_are_found(scale, most):
    late = []
    for run in range(20):
        random, test = np.random.default_rng(run), PairTest()
        while not test.better.alarm and test.better.seen < 20_000:
            test.add(*loans(random, 20, champion=scale, challenger=0))
        assert not test.worse.alarm
        late.append(test.better.seen)
    assert np.median(late) <= most, late


def test_order_within_a_day_does_not_matter():
    random = np.random.default_rng(5)
    day = loans(random, 200, champion=0.5, challenger=0.5)
    order = np.argsort((day[0] - day[2]) ** 2)
    whole, sorted_ = PairTest(), PairTest()
    whole.add(*day)
    sorted_.add(*(values[order] for values in day))
    assert whole.better.highest == pytest.approx(sorted_.better.highest)


def test_alarm_is_that_of_the_other_tests():
    test = GainTest()
    test.add(np.full(200, 0.5))
    assert test.alarm is (test.evidence >= LOG_ALARM)
