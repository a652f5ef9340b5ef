"""Tests of ml/training/candidates.py."""

import numpy as np
import pytest
from sklearn.base import clone

from ml.product.files import PRODUCTS, read_product
from ml.training.candidates import (
    LABELS,
    N_NEIGHBOURS,
    SVC_KERNELS,
    candidates,
    preparation,
)
from ml.training.columns import columns_of
from ml.training.dataset import read_rows
from ml.training.train import SEED
from tests.fixtures.models import with_optional

SHIPPED = sorted(path.stem for path in PRODUCTS.glob("*.toml"))


def test_candidates_are_six_with_the_svcs_first(product):
    found = candidates(product, seed=SEED)
    assert tuple(c.name for c in found[:2]) == SVC_KERNELS
    assert [c.name for c in found] == list(LABELS)
    assert len(found) == 6


@pytest.mark.parametrize("name", SHIPPED)
def test_candidates_know_every_setting_of_their_grids(name):
    for candidate in candidates(read_product(name), seed=SEED):
        for grid in (candidate.grid, candidate.fine_grid):
            for key, values in grid.items():
                for value in values:
                    clone(candidate.estimator).set_params(**{key: value})


@pytest.mark.parametrize(
    ("rows", "thorough", "counts"),
    [
        (26, False, [15]),
        (60, False, [15, 31]),
        (61, False, [15, 31, 61]),
        (32, True, [9, 15, 31]),
        (101, True, [9, 15, 31, 61, 101]),
    ],
)
def test_fittable_leaves_out_more_neighbours_than_rows(product, rows, thorough, counts):
    for candidate in candidates(product, seed=SEED):
        whole = candidate.fine_grid if thorough else candidate.grid
        changed = {N_NEIGHBOURS: counts} if candidate.name == "neighbours" else {}
        assert candidate.fittable(rows=rows, thorough=thorough) == whole | changed


@pytest.mark.parametrize("name", SHIPPED)
def test_preparation_normalises_every_number(name):
    product = read_product(name)
    fields = read_rows(product, product.data_file).fields
    prepared = preparation(product, splines=False).fit_transform(
        columns_of(product).transform(fields)
    )
    numbers = sum(f.kind == "integer" for f in product.inputs) + len(product.ratios)
    flags = sum(f.kind == "flag" for f in product.inputs)
    scaled, rest = np.split(prepared, [numbers + flags], axis=1)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(scaled.std(axis=0), 1)
    assert set(np.unique(rest)) == {0, 1}
    assert not np.isnan(prepared).any()


@pytest.mark.parametrize("name", SHIPPED)
def test_preparation_has_one_place_for_every_missing_value_and_word(name):
    product = read_product(name)
    fields = read_rows(product, product.data_file).fields
    columns = columns_of(product).transform(fields)
    prepared = preparation(product, splines=False).fit(columns).transform(columns)
    numbers = sum(f.kind != "choice" for f in product.inputs) + len(product.ratios)
    absent = [f.name for f in product.inputs if f.kind != "choice" and f.optional]
    words = sum(len(f.choices) for f in product.inputs)
    assert prepared.shape == (len(fields), numbers + len(absent) + words)
    marked = prepared[:, numbers : numbers + len(absent)]
    assert marked.sum(axis=0).tolist() == fields[absent].isna().sum().tolist()


def test_preparation_keeps_the_place_of_a_field_that_no_row_of_a_fold_answers(product):
    """MonotoneLinear counts the columns, and warnings are errors here."""
    product = with_optional(product, "home_status")
    columns = columns_of(product).transform(read_rows(product, product.data_file).fields)
    empty = columns.assign(assets=np.nan, home_status=np.array(np.nan, dtype=object))
    for splines in (False, True):
        whole = preparation(product, splines=splines).fit(columns).transform(columns)
        fitted = preparation(product, splines=splines).fit(empty)
        assert fitted.transform(empty).shape == fitted.transform(columns).shape == whole.shape


@pytest.mark.parametrize("name", SHIPPED)
def test_columns_ignore_protected_fields(name):
    product = read_product(name)
    fields, good = read_rows(product, product.data_file).data
    more = fields.assign(**{f.name: 1 for f in product.protected}, **{product.target: good})
    assert columns_of(product).transform(more).equals(columns_of(product).transform(fields))
