"""Tests of ml/training/reference.py."""

import io
import json

import numpy as np
import pandas as pd
import pytest

from ml.product.application import Rules
from ml.product.errors import InvalidData
from ml.product.files import read_product
from ml.scoring.novelty import NEIGHBOURS, Novelty
from ml.training.dataset import as_applications, read_rows
from ml.training.reference import (
    MAX_NOVELTY_ROWS,
    MIN_NOVELTY_LIMIT,
    NOVELTY_QUANTILE,
    background,
    neighbourhood,
    ranges,
)


@pytest.mark.parametrize("name", ["consumer_credit", "mortgage"])
def test_as_applications_satisfy_the_rules(name):
    product = read_product(name)
    fields = read_rows(product, product.data_file).fields
    rules = Rules(product)
    found = as_applications(fields)
    assert [rules.check(application) for application in found] == found
    assert len(found) == len(fields)
    missing = sum(value is None for application in found for value in application.values())
    assert missing == fields.isna().sum().sum() > 0
    assert json.loads(json.dumps(found)) == found


ROWS = 50


@pytest.fixture(scope="module")
def rows(product):
    return read_rows(product, product.data_file).fields


@pytest.fixture(scope="module")
def probability(bundle, rows):
    return bundle.scorer.score_many(rows)


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_background_is_the_nearest_rows_above_the_threshold(bundle, rows, probability, threshold):
    found = background(rows, probability, threshold=threshold, count=ROWS)
    assert len(found) == ROWS
    assert len({json.dumps(application) for application in found}) == ROWS
    own = np.array([bundle.scorer.score(application).probability for application in found])
    assert (own >= threshold).all()
    distinct = probability[~rows.duplicated()]
    nearest = np.sort(distinct[distinct >= threshold])[:ROWS]
    np.testing.assert_allclose(own, nearest, rtol=0, atol=1e-12)
    assert own.max() < threshold + 0.05


def few(*amounts):
    return pd.DataFrame({"loan_amount": amounts})


def test_background_takes_a_row_at_the_threshold_itself():
    found = background(few(1, 2, 3), np.array([0.4, 0.5, 0.6]), threshold=0.5, count=ROWS)
    assert found == [{"loan_amount": 2}, {"loan_amount": 3}]


def test_background_is_fewer_rows_where_fewer_are_granted():
    probability = np.linspace(0, 1, 101)
    found = background(few(*range(101)), probability, threshold=0.9, count=ROWS)
    assert found == [{"loan_amount": n} for n in range(90, 101)]


def test_background_holds_no_row_twice():
    fields = pd.concat([few(*range(60)), few(*range(60))])
    fields.loc[fields["loan_amount"] == 7, "loan_amount"] = np.nan
    found = background(fields, np.full(120, 0.7), threshold=0.5, count=ROWS)
    assert found == [{"loan_amount": None if n == 7 else n} for n in range(50)]


def test_background_where_no_row_reaches_the_threshold(rows, probability):
    with pytest.raises(InvalidData, match=r"no row reaches the threshold 0\.9999") as raised:
        background(rows, probability, threshold=0.9999, count=ROWS)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["consumer_credit", "mortgage"])
def test_ranges_are_those_of_the_integers(name):
    product = read_product(name)
    fields = read_rows(product, product.data_file).fields
    found = ranges(product, fields)
    assert list(found) == [f.name for f in product.inputs if f.kind == "integer"]
    for name, (low, high) in found.items():
        known = fields[name].dropna()
        assert (low, high) == (known.min(), known.max())
        assert (type(low), type(high)) == (int, int)


def opened(content):
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return arrays["rows"], float(arrays["limit"])


def fifth(matrix):
    """Return the distance of each row to its fifth nearest neighbour."""
    distances = np.sqrt(((matrix[:, None] - matrix) ** 2).sum(axis=2))
    return np.sort(distances, axis=1)[:, NEIGHBOURS]


def test_neighbourhood_holds_every_row_and_the_distance_that_one_in_a_hundred_passes():
    matrix = np.random.default_rng(0).normal(size=(300, 4))
    rows, limit = opened(neighbourhood(matrix, numbers=1, seed=0).content)
    assert np.array_equal(rows, matrix)
    distances = fifth(matrix)
    assert limit == pytest.approx(np.quantile(distances, NOVELTY_QUANTILE), abs=1e-6)
    assert (distances > limit).sum() == 3


def test_neighbourhood_bounds_are_the_same_for_rows_that_differ_in_the_last_digit():
    matrix = np.random.default_rng(0).normal(size=(300, 4))
    bounds = set()
    for rows in (matrix, matrix * (1 + 1e-15)):
        content = neighbourhood(rows, numbers=2, seed=0).content
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            bounds.add(tuple(arrays[name].tobytes() for name in ("limit", "lowest", "highest")))
    assert len(bounds) == 1


@pytest.mark.parametrize("count", [1, 2, NEIGHBOURS, NEIGHBOURS + 1])
def test_neighbourhood_of_few_rows(count):
    matrix = np.arange(count, dtype=float)[:, None]
    rows, limit = opened(neighbourhood(matrix, numbers=1, seed=0).content)
    assert np.array_equal(rows, matrix)
    assert MIN_NOVELTY_LIMIT <= limit <= max(count - 1, MIN_NOVELTY_LIMIT)


def test_neighbourhood_of_many_equal_rows_marks_none_that_is_one_of_them():
    """The computed distance between equal rows is not exactly 0, because of rounding."""
    kinds = np.random.default_rng(3).normal(size=(9, 20))
    matrix = np.repeat(kinds, 100, axis=0)
    found = neighbourhood(matrix, numbers=20, seed=0)
    assert not found.marked.any()
    novelty = Novelty(found.content)
    assert novelty.limit == MIN_NOVELTY_LIMIT
    assert all(novelty.measure(row.tolist()) <= 1 for row in kinds)
    middle = kinds[np.argsort(kinds[:, 0])[4]]
    for shift, marked in ((0.9, False), (1.1, True)):
        other = middle + np.eye(20)[0] * MIN_NOVELTY_LIMIT * shift
        assert (novelty.measure(other.tolist()) > 1) is marked


def test_neighbourhood_of_many_rows_holds_a_sample():
    matrix = np.random.default_rng(1).normal(size=(MAX_NOVELTY_ROWS + 700, 2))
    matrix[:, 0] = np.arange(len(matrix))
    rows, limit = opened(neighbourhood(matrix, numbers=1, seed=0).content)
    assert rows.shape == (MAX_NOVELTY_ROWS, 2)
    places = rows[:, 0].astype(int)
    assert (np.diff(places) > 0).all()  # none twice, in their order
    assert np.array_equal(rows, matrix[places])
    assert limit > 0
    first, second = (neighbourhood(matrix, numbers=1, seed=0) for _ in range(2))
    assert first.content == second.content
    assert not np.array_equal(rows, opened(neighbourhood(matrix, numbers=1, seed=1).content)[0])


def test_neighbourhood_of_exactly_as_many_rows_as_are_kept_is_no_sample():
    matrix = np.random.default_rng(2).normal(size=(MAX_NOVELTY_ROWS, 2))
    assert np.array_equal(opened(neighbourhood(matrix, numbers=1, seed=0).content)[0], matrix)


def test_neighbourhood_holds_between_what_numbers_usually_lie():
    matrix = np.column_stack([np.arange(1000.0), np.arange(1000.0)[::-1], np.zeros(1000)])
    matrix[-1, 2] = 1  # a word that one row has is no number
    found = neighbourhood(matrix, numbers=2, seed=0)
    with np.load(io.BytesIO(found.content), allow_pickle=False) as arrays:
        lowest, highest, limit = arrays["lowest"], arrays["highest"], float(arrays["limit"])
    np.testing.assert_allclose(lowest, [4, 4], atol=2e-6)
    np.testing.assert_allclose(highest, [995, 995], atol=2e-6)
    far = fifth(matrix) > limit
    beyond = (matrix[:, 0] < 4) | (matrix[:, 0] > 995)
    assert np.array_equal(found.marked, far | beyond)
    assert np.array_equal(found.kept, np.arange(1000))
