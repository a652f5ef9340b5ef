"""Tests of the sequential tests: what is proven about them, on simulated scores and outcomes."""

import math

import numpy as np
import pytest

from ml.monitoring.sequential import (
    FALSE_ALARMS_PER_PERIOD,
    JUMPS,
    LOG_ALARM,
    SLOPES,
    CalibrationTest,
    ScoreTest,
)

TRAINING = np.random.default_rng(3).multinomial(3_500, np.random.default_rng(4).dirichlet([2] * 20))
SHARES = TRAINING / TRAINING.sum()


def moved(shares, by):
    """Move a share of each bin's rows to the next lower bin; those of the lowest one stay."""
    lower = np.append(shares[1:], 0) * by
    lower[0] += shares[0] * by
    return shares * (1 - by) + lower


def test_no_evidence_before_anything_was_seen():
    test = ScoreTest.against(TRAINING)
    assert (test.evidence, test.highest, test.seen, test.alarm) == (0, 0, 0, False)
    test.add([0] * 20, seed=1)
    assert (test.evidence, test.seen) == (0, 0)
    test = CalibrationTest()
    test.add(np.array([]), np.array([], dtype=bool))
    assert (test.evidence, test.seen, test.alarm) == (0, 0, False)


def test_same_seed_gives_the_same_evidence():
    counts = np.random.default_rng(1).multinomial(200, SHARES)
    first, second, other = [ScoreTest.against(TRAINING) for _ in range(3)]
    first.add(counts, seed=7)
    second.add(counts, seed=7)
    other.add(counts, seed=8)
    assert first.evidence == second.evidence != other.evidence
    assert first.counts.tolist() == (TRAINING + counts).tolist()


def test_evidence_is_the_product_of_the_bets():
    """The same martingale, computed one bet at a time with Fractions of nothing but floats."""
    test, pool = ScoreTest.against([4, 2, 3]), [4, 2, 3]
    test.add([1, 2, 1], seed=11)
    random = np.random.default_rng(11)
    bins = random.permutation(np.repeat(np.arange(3), [1, 2, 1]))
    chances = random.random(4)
    capital = np.full((len(JUMPS), 2 * len(SLOPES)), 1 / (2 * len(SLOPES)))
    for place, chance in zip(bins, chances, strict=True):
        pool[place] += 1
        rank = (sum(pool[place + 1 :]) + chance * pool[place]) / sum(pool)
        for i, jump in enumerate(JUMPS):
            whole = capital[i].sum()
            capital[i] = (1 - jump) * capital[i] + jump * whole / (2 * len(SLOPES))
        sides = [1 + SLOPES * (rank - 0.5), 1 + SLOPES * (abs(2 * rank - 1) - 0.5)]
        capital *= np.concatenate(sides)
    assert test.evidence == pytest.approx(math.log(capital.sum(axis=1).mean()), rel=1e-9)


def test_every_bet_is_fair():
    """The mean of each factor over a uniform rank is 1, and no factor is negative."""
    ranks = (np.arange(100_000) + 0.5) / 100_000
    for slope in SLOPES:
        for side in (ranks - 0.5, abs(2 * ranks - 1) - 0.5):
            factors = 1 + slope * side
            assert factors.mean() == pytest.approx(1, abs=1e-9)
            assert factors.min() >= 0


def test_ranks_are_uniform_if_nothing_has_changed():
    """Also from few training rows, because each score is ranked among all earlier ones."""
    random = np.random.default_rng(2)
    means = []
    for run in range(200):
        test, ranks = ScoreTest.against(random.multinomial(30, SHARES)), []
        test._bet = ranks.append
        test.add(random.multinomial(100, SHARES), seed=run)
        means += ranks
    hist = np.histogram(means, bins=10, range=(0, 1))[0] / len(means)
    assert hist == pytest.approx(np.full(10, 0.1), abs=0.008)


def test_false_alarms_are_as_rare_as_stated():
    """A period of 3,000 decisions, 200 times: an alarm is expected in half of one at most."""
    alarms = 0
    for run in range(200):
        random = np.random.default_rng(run)
        test = ScoreTest.against(random.multinomial(3_500, SHARES))
        test.add(random.multinomial(3_000, SHARES), seed=run)
        alarms += test.alarm
    assert alarms <= 3  # more than 3 has a probability of 0.002 at the stated share


@pytest.mark.parametrize(("by", "most"), [(1.0, 1_200), (0.8, 2_000)])
def test_changes_are_found(by, most):
    late = []
    for run in range(10):
        random, test = np.random.default_rng(run), ScoreTest.against(TRAINING)
        test.add(random.multinomial(500, SHARES), seed=run)
        while not test.alarm and test.seen < 20_000:
            test.add(random.multinomial(50, moved(SHARES, by)), seed=test.seen)
        late.append(test.seen - 500)
    assert np.median(late) <= most, late


def outcomes(random, count, *, shift=0.0):
    probability = random.uniform(0.5, 0.98, size=count)
    odds = np.log(probability / (1 - probability)) + shift
    return probability, random.random(count) < 1 / (1 + np.exp(-odds))


def test_calibrated_outcomes_raise_no_alarm():
    alarms = 0
    for run in range(400):
        random, test = np.random.default_rng(run), CalibrationTest()
        for _ in range(100):
            test.add(*outcomes(random, 10))
        alarms += test.alarm
    assert alarms <= 4  # 1 expected at most


@pytest.mark.parametrize(("shift", "most"), [(-1.0, 100), (-0.5, 400), (0.5, 700)])
def test_broken_calibration_is_found(shift, most):
    late = []
    for run in range(20):
        random, test = np.random.default_rng(run), CalibrationTest()
        while not test.alarm and test.seen < 20_000:
            test.add(*outcomes(random, 10, shift=shift))
        late.append(test.seen)
    assert np.median(late) <= most, late


def test_order_within_a_day_does_not_matter():
    """A file in which all bad loans of a day come first is no evidence."""
    random, alarms = np.random.default_rng(5), 0
    for _ in range(100):
        test = CalibrationTest()
        for _ in range(4):
            probability, good = outcomes(random, 100)
            order = np.argsort(good)
            test.add(probability[order], good[order])
        alarms += test.alarm
    assert alarms <= 2
    whole, turned = CalibrationTest(), CalibrationTest()
    whole.add(probability, good)
    turned.add(probability[::-1], good[::-1])
    assert turned.evidence == pytest.approx(whole.evidence, rel=1e-9)


def test_certain_probabilities_are_kept_from_proving_all_by_one_outcome():
    certain = CalibrationTest()
    certain.add(np.array([1.0, 0.0]), np.array([False, True]))
    assert np.isfinite(certain.evidence)


def test_alarm_is_the_stated_share():
    assert math.exp(-LOG_ALARM) == pytest.approx(FALSE_ALARMS_PER_PERIOD)
