"""Tests of how often LoanGrantRateUnusual is wrong, and what it finds, by simulated years."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

RULES = Path(__file__).parents[2] / "prometheus/rules_decisions.yml"
DAY, WEEKS, YEAR = 24, 28 * 24, 365 * 24  # hours
WORK = np.array([0.1 if 8 <= hour < 18 else 0.0 for hour in range(DAY)])
YEARS = 200
MAX_FALSE_ALARMS = 0.05  # a year, as the rule and docs/alerts.md say


@pytest.fixture(scope="module")
def limits():
    """The limits of the rule: of the statistic, the difference, and the numbers of decisions."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    [rule] = [r for g in groups for r in g["rules"] if r.get("alert") == "LoanGrantRateUnusual"]
    return tuple(float(n) for n in re.findall(r"(?:>|>=) ([0-9.]+)$", rule["expr"], flags=re.M))


def alarms(limits, random, rates, a_day):
    """Return in which hours the alert is on, for the grant rate of each hour."""
    z, difference, least, least_before = limits
    decided = random.poisson(np.resize(a_day * WORK, len(rates)))
    n, g = (np.append(0, c.cumsum()) for c in (decided, random.binomial(decided, rates)))
    now = np.arange(DAY + WEEKS, len(n))
    last, before = (now - DAY, now), (now - DAY - WEEKS, now - DAY)
    (n1, g1), (n0, g0) = ((n[b] - n[a], g[b] - g[a]) for a, b in (last, before))
    both = (g1 + g0) / (n1 + n0)
    apart = g1 / np.maximum(n1, 1) - g0 / n0
    statistic = apart / np.sqrt(both * (1 - both) * (1 / np.maximum(n1, 1) + 1 / n0))
    enough = (n1 >= least) & (n0 >= least_before)
    return (abs(statistic) > z) & (abs(apart) > difference) & enough


@pytest.mark.parametrize("rate", [0.3, 0.6])
@pytest.mark.parametrize("a_day", [50, 60, 100, 300, 1000])
def test_quiet_years(limits, rate, a_day):
    random = np.random.default_rng(1)
    rates = np.full(DAY + WEEKS + YEAR, rate)
    wrong = sum(alarms(limits, random, rates, a_day).any() for _ in range(YEARS))
    assert wrong <= MAX_FALSE_ALARMS * YEARS


@pytest.mark.parametrize(("a_day", "fall"), [(60, 0.4), (100, 0.3), (300, 0.2), (1000, 0.15)])
def test_a_fall_is_found_within_a_day(limits, a_day, fall):
    random = np.random.default_rng(1)
    rates = np.full(DAY + WEEKS + DAY, 0.6)
    rates[-DAY:] -= fall
    found = sum(alarms(limits, random, rates, a_day)[1:].any() for _ in range(YEARS))
    assert found >= 0.8 * YEARS
