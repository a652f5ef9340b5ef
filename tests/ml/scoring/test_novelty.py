"""Tests of ml/scoring/novelty.py."""

import io
import math

import numpy as np
import pandas as pd
import pytest

from ml.bundle.manifest import NOVELTY
from ml.product.samples import examples
from ml.scoring.novelty import CHUNK_ROWS, NEIGHBOURS, Novelty
from ml.training.dataset import as_applications, read_rows


def novelty_of(rows, limit, *, lowest=(), highest=()):
    content = io.BytesIO()
    np.savez(content, rows=rows, limit=limit, lowest=lowest, highest=highest)
    return Novelty(content.getvalue())


@pytest.fixture(scope="module")
def rows(bundle):
    with np.load(io.BytesIO(bundle.file(NOVELTY))) as arrays:
        return arrays["rows"]


def plain(rows, row):
    return np.sort(np.sqrt(((rows - row) ** 2).sum(axis=1)))[NEIGHBOURS - 1]


def test_distance_is_that_to_the_fifth_nearest_row(bundle, rows):
    for application in examples(bundle.product, count=200, seed=14, unseen=True):
        row = bundle.scorer.row(application)
        found = bundle.novelty.distance(row)
        assert found == pytest.approx(plain(rows, np.array(row)), rel=0, abs=1e-9)
        assert bundle.novelty.measure(row) >= found / bundle.novelty.limit


def test_distance_on_a_line():
    line = novelty_of(np.array([[0.0], [1.0], [3.0], [6.0], [10.0], [15.0]]), 8.0)
    for place, distance in ((0.0, 10.0), (15.0, 14.0), (4.0, 6.0), (-2.0, 12.0)):
        assert line.distance([place]) == pytest.approx(distance)
    assert line.measure([4.0]) <= 1
    assert line.measure([0.0]) > 1


def test_distance_equal_to_the_limit_is_not_far():
    line = novelty_of(np.array([[0.0], [1.0], [2.0], [3.0], [4.0]]), 4.0)
    assert line.distance([0.0]) == 4.0
    assert line.measure([0.0]) <= 1


def test_distance_to_a_row_itself_is_zero():
    rows = np.tile(np.random.default_rng(0).normal(size=30), (NEIGHBOURS, 1))
    assert novelty_of(rows, 1.0).distance(rows[0].tolist()) == 0


@pytest.mark.parametrize("distance", [1e-12, 1e-9, 1e-6, 1e-4, 1e-2, 1.0])
def test_distance_that_is_small_beside_the_values_keeps_its_digits(distance):
    rows = np.tile(np.random.default_rng(0).normal(size=30), (NEIGHBOURS, 1))
    row = rows[0].copy()
    row[3] += distance
    exact = row[3] - rows[0, 3]  # what is left of the distance after the addition
    assert novelty_of(rows, 1.0).distance(row.tolist()) == pytest.approx(exact, rel=0, abs=1e-11)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_distance_with_fewer_rows_than_neighbours_is_to_the_last(count):
    rows = np.arange(count, dtype=float)[:, None]
    assert novelty_of(rows, 1.0).distance([-1.0]) == pytest.approx(count)


def test_distance_of_another_word_is_the_root_of_two(bundle):
    rows = np.tile([0.5, 1.0, 0.0], (NEIGHBOURS, 1))
    assert novelty_of(rows, 1.0).distance([0.5, 0.0, 1.0]) == pytest.approx(2**0.5)


def test_measure_of_one_number_beyond_the_usual_ones():
    """The distances are small beside the limit, as long tails make it."""
    line = novelty_of(np.array([[0.0, 0.0]] * 9), 50.0, lowest=[-1.0], highest=[2.0])
    assert line.measure([2.0, 0.0]) == line.distance([2.0, 0.0]) / 50
    assert line.measure([2.5, 0.0]) == pytest.approx(1.5)
    assert line.measure([-4.0, 0.0]) == pytest.approx(4.0)
    assert line.measure([0.0, 49.0]) < 1  # no number, a word or an indicator


@pytest.mark.parametrize("count", [1, CHUNK_ROWS - 1, CHUNK_ROWS, CHUNK_ROWS + 1, 500])
def test_measure_each_equals_measure(bundle, rows, count):
    applications = examples(bundle.product, count=count - count // 2, seed=15, unseen=True)
    some = [*map(bundle.scorer.row, applications), *rows[: count // 2].tolist()]
    each = bundle.novelty.measure_each(some)
    assert each == pytest.approx([bundle.novelty.measure(row) for row in some], rel=0, abs=1e-12)
    assert {*map(type, each)} == {float}


def test_measure_each_of_a_row_itself_and_beyond_the_usual_numbers():
    line = novelty_of(np.array([[0.1, 7.0]] * 9), 50.0, lowest=[-1.0], highest=[2.0])
    some = [[0.1, 7.0], [0.1, 7.0 + 1e-9], [2.5, 7.0], [-4.0, 7.0], [0.1, 90.0]]
    assert line.measure_each(some) == [line.measure(row) for row in some]
    few = novelty_of(np.arange(2.0)[:, None], 1.0)
    assert few.measure_each([[-1.0], [0.5]]) == pytest.approx([2.0, 0.5])


def test_far_are_single_fields_beyond_their_tails(bundle, origin):
    """Each of these was marked in one of fifty applications, or in none."""
    usual = as_applications(origin.rows.fields.iloc[:200])
    for change in ({"assets": 2_000_000}, {"outstanding_debt": 250_000, "assets": 0}):
        marked = [bundle.novelty.measure(bundle.scorer.row(a | change)) > 1 for a in usual]
        assert all(marked), change


def test_far_are_about_one_in_a_hundred_of_the_training_rows(bundle, rows):
    limit = bundle.novelty.limit
    far = [
        novelty_of(np.delete(rows, i, axis=0), limit).measure(rows[i].tolist()) > 1
        for i in range(len(rows))
    ]
    assert len(far) == 800
    assert 4 <= sum(far) <= 12


def test_far_is_an_absurd_application(bundle):
    fields = read_rows(bundle.product, bundle.product.data_file).fields
    usual = as_applications(fields.iloc[:1])[0]
    assert bundle.novelty.measure(bundle.scorer.row(usual)) <= 1
    absurd = {"loan_amount": 50_000, "purchase_price": 50_000, "loan_term_months": 6}
    absurd |= {"monthly_income": 1}
    assert bundle.novelty.measure(bundle.scorer.row(usual | absurd)) > 1


def test_far_is_not_an_application_like_most(bundle, origin):
    fields = origin.rows.fields
    middle = (
        fields.median(numeric_only=True).to_dict()
        | fields.mode().iloc[0, :].filter(["employment_type", "home_status"]).to_dict()
    )
    [typical] = as_applications(pd.DataFrame([middle])[list(fields)])
    assert bundle.novelty.measure(bundle.scorer.row(typical)) <= 1


def test_far_are_few_of_the_rows_that_were_not_learned_from(bundle, origin):
    fields = read_rows(bundle.product, bundle.product.data_file).fields
    unseen = as_applications(fields.iloc[len(origin.rows.good) :])
    far = [bundle.novelty.measure(bundle.scorer.row(a)) > 1 for a in unseen]
    assert len(far) > 2000
    assert 0.02 < np.mean(far) < 0.08


@pytest.mark.parametrize("limit", [0.0, -1.0, math.nan, math.inf])
def test_limit_that_no_distance_can_be_divided_by(limit):
    with pytest.raises(ValueError, match="the limit of the distance must be a positive number"):
        novelty_of(np.zeros((9, 1)), limit)
