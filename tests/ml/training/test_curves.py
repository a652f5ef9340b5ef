"""Tests of ml/training/curves.py."""

import numpy as np
import pandas as pd
import pytest

from ml.evaluation.reports import CURVE_ROWS
from ml.product.definition import Product
from ml.product.samples import examples
from ml.training.curves import curves
from tests.fixtures.models import scorer_of
from tests.ml.training.planted import quick

PLANTED = ("monthly_income", "monthly_expenses")


@pytest.fixture(scope="module")
def turning(product):
    """Rows that are good at the middle values of one field; another field has no effect."""
    fields = pd.DataFrame(examples(product, count=600, seed=6))
    fields["monthly_income"] = np.random.default_rng(6).integers(1, 10_000, 600)
    near = np.abs(np.log(fields["monthly_income"]) - np.log(2_000)) < 0.8
    rng = np.random.default_rng(7)
    return fields, (near ^ (rng.random(600) < 0.1)).astype(int)


def test_curves_without_directions_run_against_them_where_planted(product, turning):
    scorer = scorer_of(quick(product, turning, unbound=True))
    found = {c.field: c for c in curves(product, scorer, turning[0], seed=0)}
    assert set(found) == {f.name for f in product.inputs if f.monotone}
    income = found["monthly_income"]
    assert income.stated == "up"
    assert income.fall > 0.3
    first, last = income.against[-1]
    assert 1_500 < first < 4_000
    assert last > 7_000


@pytest.mark.parametrize("name", ["logistic", "svc_linear"])
def test_curves_of_a_model_that_keeps_to_the_directions(product, turning, name):
    scorer = scorer_of(quick(product, turning, name=name))
    found = curves(product, scorer, turning[0], seed=0)
    assert len(found) == 5
    assert {(c.against, c.fall) for c in found} == {((), 0.0)}


def test_curves_of_the_kernel_svc_are_looked_at_row_by_row(product, fitted, origin):
    fields = origin.rows.fields
    scorer = scorer_of(fitted(product, "svc_rbf"))
    found = {c.field: c for c in curves(product, scorer, fields, seed=0)}["monthly_income"]
    assert found.against
    rows = fields.sample(CURVE_ROWS, random_state=0)
    falls = []
    for first, last in found.against:
        low, high = (scorer.score_many(rows.assign(monthly_income=v)) for v in (first, last))
        falls.append((low - high).max())
    assert 0 < max(falls) <= found.fall + 1e-12


def test_curves_of_a_product_that_states_no_direction(product, bundle, origin):
    stated = product.model_dump(exclude_unset=True)
    for field in stated["fields"]:
        field.pop("monotone", None)
    silent = Product.model_validate(stated)
    assert curves(silent, bundle.scorer, origin.rows.fields, seed=0) == ()
