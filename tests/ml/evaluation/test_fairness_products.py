"""Tests of ml/evaluation/fairness.py on the data of the shipped products."""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline

from ml.evaluation.fairness import assess
from ml.product.tolerances import Fairness
from ml.training.candidates import candidates
from ml.training.columns import columns_of
from ml.training.dataset import read_rows


def out_of_fold(product, name):
    rows = read_rows(product, product.data_file)
    fields, good = rows.data
    chosen = next(c for c in candidates(product, seed=0) if c.name == name)
    model = Pipeline([("columns", columns_of(product)), ("model", chosen.estimator)])
    splits = StratifiedKFold(5, shuffle=True, random_state=0)
    margin = cross_val_predict(model, fields, good, cv=splits, method="decision_function")
    probability = 1 / (1 + np.exp(-margin))
    return assess(
        product, rows.protected, good=good, granted=probability >= 0.5, probability=probability
    )


def test_assess_mortgage_finds_what_the_lenders_of_1990_did(mortgage):
    found = out_of_fold(mortgage, "svc_linear")
    assert [a.name for a in found.attributes] == [f.name for f in mortgage.protected]
    race = found.attributes[0]
    black = next(g for g in race.groups if g.name == "black")
    assert race.reference == "white"
    assert black.grant_ratio.value == pytest.approx(0.78, abs=0.03)
    assert black.grant_ratio.high < 1
    assert black.verdict == "outside"
    assert "grant_ratio" in black.findings


def test_assess_consumer_credit_by_age_and_marital_status(product):
    found = out_of_fold(product, "logistic")
    age, marital = found.attributes
    assert sum(g.n for g in age.groups) == found.rows
    assert marital.reference == "married"
    assert marital.unknown == 1
    by_name = {g.name: g for g in marital.groups}
    divorced = by_name["divorced"]  # enough rows for a rate, too few good ones for the rest
    assert divorced.n >= found.limits.smallest_group > divorced.n_good
    assert divorced.grant_rate is not None
    assert divorced.verdict != "within"
    assert by_name["single"].verdict == "within"


def test_assess_consumer_credit_group_below_the_smallest(product):
    rows = read_rows(product, product.data_file)
    fields, good = rows.data
    protected = rows.protected
    limits = Fairness(
        smallest_group=(protected["protected_marital_status"] == "divorced").sum() + 1
    )
    found = assess(
        product, protected, good=good, granted=good == 1, probability=good, limits=limits
    )
    groups = {g.name: g for g in found.attributes[1].groups}
    assert groups["divorced"].verdict == "not_assessable"
    assert groups["divorced"].grant_rate is None
    assert len(fields) == found.rows
