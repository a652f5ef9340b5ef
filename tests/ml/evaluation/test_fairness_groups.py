"""Tests of ml/evaluation/fairness.py: the groups of a protected field."""

import math

import numpy as np
import pandas as pd
import pytest

from ml.evaluation.fairness import assess
from ml.product.files import PRODUCTS, parse_product
from ml.product.texts import Text
from tests.ml.evaluation.counts import EVEN, groups_of

BANDS = "bands = [25, 35, 45, 55, 62]\n"


@pytest.fixture(scope="module")
def unbanded():
    text = (PRODUCTS / "consumer_credit.toml").read_text(encoding="utf-8")
    assert BANDS in text
    return parse_product(text.replace(BANDS, ""), source="unbanded")


def sizes(product, column, values):
    frame = pd.DataFrame({column: values})
    answers = dict.fromkeys(("good", "granted", "probability"), np.ones(len(values)))
    groups = assess(product, frame, **answers).attributes[0].groups
    return {g.name: g.n for g in groups}, [g.label for g in groups]


def test_assess_numbers_by_the_product_s_bands(product):
    ages = [18, 24, 25, 34, 35, 54, 55, 61, 62, 100, None]
    found, labels = sizes(product, "protected_age", ages)
    assert found == {
        "under_25": 2,
        "25_to_34": 2,
        "35_to_44": 1,
        "45_to_54": 1,
        "55_to_61": 2,
        "62_and_over": 2,
    }
    assert labels[0] == Text(en="under 25", fr="moins de 25")
    assert labels[1] == Text(en="25 to 34", fr="25 à 34")
    assert labels[-1] == Text(en="62 and over", fr="62 et plus")


def test_assess_bands_of_one_number_bear_it(mortgage):
    found, labels = sizes(mortgage, "protected_dependents", [0, 0, 1, 2, 3, 8])
    assert found == {"0": 2, "1": 1, "2": 1, "3_and_over": 2}
    assert labels[0] == Text(en="0", fr="0")


@pytest.mark.parametrize(
    ("ages", "expected"),
    [
        (range(20, 60), {"under_30": 10, "30_to_39": 10, "40_to_49": 10, "50_and_over": 10}),
        ([18, 18, 18, 18, 60], {"18_and_over": 5}),
        ([18, 18, 40, 40], {"under_40": 2, "40_and_over": 2}),
        ([40, 40], {"18_and_over": 2}),
        ([None, None], {"18_and_over": 0}),
    ],
)
def test_assess_numbers_without_bands_by_quartiles(unbanded, ages, expected):
    assert sizes(unbanded, "protected_age", list(ages))[0] == expected


def test_assess_flags_are_yes_and_no(mortgage):
    found, labels = sizes(mortgage, "protected_married", [1, 1, 0, None])
    assert found == {"yes": 2, "no": 1}
    assert labels == [Text(en="Yes", fr="Oui"), Text(en="No", fr="Non")]


@pytest.mark.parametrize("column", ["protected_sex", "protected_married", "protected_dependents"])
@pytest.mark.parametrize("missing", [None, math.nan])
def test_assess_no_value_at_all(mortgage, column, missing):
    attribute, found = groups_of(mortgage, column, {missing: EVEN})
    assert (attribute.reference, attribute.unknown) == (None, 100)
    assert {g.verdict for g in found.values()} == {"not_assessable"}
    assert {g.n for g in found.values()} == {0}


def test_assess_rows_without_a_value_are_in_no_group(mortgage):
    attribute, found = groups_of(mortgage, "protected_sex", {"male": EVEN, None: (7, 0, 0, 0)})
    assert attribute.unknown == 7
    assert found["male"].grant_rate.value == pytest.approx(0.5)
