"""Tests of ml/explaining/typical.py: what is typical among applications that were just granted."""

import json

import numpy as np
import pandas as pd
import pytest

from ml.bundle.manifest import BACKGROUND
from ml.explaining.typical import Typical, typical_values
from ml.product.samples import examples

PRODUCTS = ("consumer_credit", "mortgage")


@pytest.mark.parametrize("product_name", PRODUCTS)
def test_typical_equals_a_direct_computation(case, product_name):
    this = case(product_name, "svc_linear")
    frame = pd.DataFrame(this.background)
    typical = this.explainer.typical
    assert set(typical) == {m.name for m in (*this.product.inputs, *this.product.ratios)}
    for ratio in this.product.ratios:
        top = sum(weight * frame[name] for name, weight in ratio.sum.items())
        frame[ratio.name] = top / frame[[*ratio.over]].prod(axis=1)
    for number in this.product.numbers:
        given = frame[number.name].dropna()
        low, high = np.quantile(given, (0.25, 0.75), method="inverted_cdf")
        assert typical[number.name][:2] == (low, high)
        assert typical[number.name].share == given.between(low, high).sum() / len(frame)
        assert typical[number.name].share >= 0.5 * len(given) / len(frame)
    for field in this.product.inputs:
        if field.kind != "integer":
            counts = frame[field.name].value_counts()
            low, high, share = typical[field.name]
            assert low == high
            assert counts[low] == counts.max()
            assert share == counts.max() / len(frame)


def test_typical_of_a_bundle_is_that_of_the_rows_it_holds(bundle, product):
    rows = json.loads(bundle.file(BACKGROUND))
    assert bundle.explainer.typical == typical_values(product, rows)


def test_typical_of_few_and_of_missing_values(product):
    [one] = examples(product, count=1, seed=1)

    def of(field, *values):
        return typical_values(product, [one | {field: value} for value in values])[field]

    assert of("outstanding_debt", 7) == Typical(7, 7, 1.0)
    assert of("outstanding_debt", 4, 2, 3, 1) == Typical(1, 3, 0.75)
    assert of("outstanding_debt", 1, 2, 3, 4, 5) == Typical(2, 4, 0.6)
    assert of("outstanding_debt", 1, None) == Typical(1, 1, 0.5)
    assert of("outstanding_debt", None, 1, None) == Typical(None, None, 2 / 3)
    assert of("adverse_credit_record", 1, 1, 0) == Typical(1, 1, 2 / 3)
    assert of("adverse_credit_record", 1, 0) == Typical(0, 0, 0.5)
    assert of("home_status", "renting", "owner") == Typical("owner", "owner", 0.5)
    assert of("home_status", "renting", None) == Typical("renting", "renting", 0.5)
    assert of("home_status", "renting", None, None) == Typical(None, None, 2 / 3)
