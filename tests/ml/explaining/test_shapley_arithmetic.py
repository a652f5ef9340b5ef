"""Tests of ml/explaining/shapley.py and linear.py: extreme values, on artificial models."""

from math import comb

import numpy as np
import pytest

from ml.explaining.attribution import RowByRow
from ml.explaining.linear import LinearAttribution
from ml.explaining.shapley import KernelShares
from ml.scoring.margins import KernelMargin, LinearMargin


def kernel(columns, *, vectors=40, gamma=0.1, seed=0):
    rng = np.random.default_rng(seed)
    arrays = {
        "vectors": rng.normal(size=(vectors, columns)),
        "dual": rng.normal(size=vectors),
        "intercept": np.float64(0.3),
        "gamma": np.float64(gamma),
    }
    return KernelMargin(arrays)


def linear(columns):
    rng = np.random.default_rng(1)
    return LinearMargin(
        {
            "weights": rng.normal(size=columns - 1),
            "intercept": np.float64(0.3),
            "breaks_0": np.array([-1.0, 0.0, 1.0]),
            "pieces_0": rng.normal(size=(3, 2)),
        },
        curves=1,
    )


def shares_of(margin, rows, row):
    """Compute Shapley values by ml/explaining, with each column as a player."""
    alone = [[i] for i in range(len(row))]
    groups = {"members": alone, "players": alone}
    if isinstance(margin, LinearMargin):
        method = LinearAttribution(margin, rows, **groups)
    else:
        method = RowByRow(KernelShares(margin, rows, **groups), rows, **groups)
    return np.array(method.attribute({}, row.tolist()).shares)


def enumerated(margin, rows, row):
    """Compute the same Shapley values by their definition."""
    count = len(row)
    inside = ((np.arange(2**count)[:, None] >> np.arange(count)) & 1) == 1
    worth = np.array([np.mean([margin.one(r) for r in np.where(s, row, rows)]) for s in inside])
    shares = np.zeros(count)
    for coalition, members in enumerate(inside):
        for j in np.flatnonzero(~members):
            gain = worth[coalition | (1 << int(j))] - worth[coalition]
            shares[j] += gain / (count * comb(count - 1, int(members.sum())))
    return shares


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("make", [kernel, linear])
def test_shares_of_so_many_players(make, count):
    rng = np.random.default_rng(count)
    margin, rows, row = make(count), rng.normal(size=(4, count)), rng.normal(size=count)
    found = shares_of(margin, rows, row)
    np.testing.assert_allclose(found, enumerated(margin, rows, row), rtol=0, atol=1e-12)
    assert np.abs(found).min() > 0


def test_shares_against_each_background_row_are_those_against_it_alone():
    rng = np.random.default_rng(4)
    margin, rows, row = kernel(5), rng.normal(size=(3, 5)), rng.normal(size=5)
    alone = [[i] for i in range(5)]
    against = KernelShares(margin, rows, members=alone, players=alone).shares({}, row)
    assert against.shape == rows.shape
    for found, other in zip(against, rows, strict=True):
        expected = enumerated(margin, other[None], row)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", [kernel, linear])
def test_shares_with_one_background_row(make):
    rng = np.random.default_rng(5)
    margin, rows, row = make(5), rng.normal(size=(1, 5)), rng.normal(size=5)
    found = shares_of(margin, rows, row)
    np.testing.assert_allclose(found, enumerated(margin, rows, row), rtol=0, atol=1e-12)


@pytest.mark.parametrize("same", [[0], [1, 2], [0, 2, 4], [0, 1, 2, 3]])
@pytest.mark.parametrize("make", [kernel, linear])
def test_shares_of_players_equal_to_a_background_row(make, same):
    rng = np.random.default_rng(6)
    margin, rows, row = make(5), rng.normal(size=(3, 5)), rng.normal(size=5)
    rows[1, same] = row[same]  # so they differ in number from one background row to the next
    found = shares_of(margin, rows, row)
    np.testing.assert_allclose(found, enumerated(margin, rows, row), rtol=0, atol=1e-12)
    rows[:, same] = row[same]
    found = shares_of(margin, rows, row)
    assert set(found[same]) == {0.0}
    np.testing.assert_allclose(found, enumerated(margin, rows, row), rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", [kernel, linear])
def test_shares_of_an_applicant_equal_to_the_whole_background(make):
    row = np.random.default_rng(7).normal(size=5)
    assert set(shares_of(make(5), np.stack([row, row]), row)) == {0.0}


@pytest.mark.parametrize(
    "far",
    [
        {"row": 1e6, "rows": 0},  # every factor of the applicant is 0
        {"row": 0, "rows": 1e6},  # every factor of the background is 0
        {"row": 1e6, "rows": -1e6},  # both
        {"row": 60, "rows": 0},  # factors near 1e-157, whose products are 0
    ],
)
def test_shares_where_factors_underflow(far):
    rng = np.random.default_rng(8)
    margin = kernel(5)
    rows, row = rng.normal(size=(3, 5)) + far["rows"], rng.normal(size=5) + far["row"]
    rows[0] -= far["rows"]  # one row near, so that something is left to share
    expected = enumerated(margin, rows, row)
    found = shares_of(margin, rows, row)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert np.isfinite(found).all()
    assert np.abs(found).max() > 0
    moved = margin.one(row) - margin.many(rows).mean()
    assert found.sum() == pytest.approx(moved, rel=0, abs=1e-12)


def test_shares_where_one_players_factor_underflows():
    rng = np.random.default_rng(9)
    margin, rows, row = kernel(4), rng.normal(size=(3, 4)), rng.normal(size=4)
    row[2] = 1e4
    found = shares_of(margin, rows, row)
    np.testing.assert_allclose(found, enumerated(margin, rows, row), rtol=0, atol=1e-12)


def test_shares_are_the_same_again_and_leave_the_background_alone():
    rng = np.random.default_rng(10)
    margin, rows, row = kernel(6), rng.normal(size=(4, 6)), rng.normal(size=6)
    alone = [[i] for i in range(6)]
    method = KernelShares(margin, rows, members=alone, players=alone)
    before = rows.copy()
    first = method.shares({}, row)
    method.shares({}, -row)
    assert np.array_equal(method.shares({}, row), first)
    assert np.array_equal(rows, before)
