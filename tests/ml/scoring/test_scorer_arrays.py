"""Tests of ml/scoring/scorer.py: rows, columns and margins equal those of the pipeline."""

import io
import json

import numpy as np
import pandas as pd
import pytest

from ml.bundle.manifest import KNOWN_ANSWER_TOLERANCE
from ml.product.files import read_product
from ml.product.samples import examples
from ml.scoring.scorer import Scorer
from ml.training.columns import columns_of
from ml.training.dataset import read_rows
from ml.training.export import export_scorer
from tests.fixtures.models import FEW_ROWS, scorer_of

BOTH = ("lower", "higher")  # values at the middle
KINDS = ("svc_linear", "logistic", "svc_rbf", "forest")


def truth(model, applications):
    return model.predict_proba(pd.DataFrame(applications))[:, 1]


def fitted_parts(model, applications):
    """Return the input of the fitted model's classifier, and its margin or None."""
    raw = model.named_steps["columns"].transform(pd.DataFrame(applications))
    inner = model.named_steps["calibrated"].calibrated_classifiers_[0].estimator
    decision = getattr(inner, "decision_function", None)
    return inner[0].transform(raw), decision and decision(raw)


@pytest.mark.parametrize("name", ["svc_linear", "logistic", "svc_rbf"])
@pytest.mark.parametrize("product_name", ["consumer_credit", "mortgage"])
def test_margins_are_those_of_the_pipeline(fitted, product_name, name):
    product = read_product(product_name)
    model = fitted(product, name)
    scorer = scorer_of(model)
    applications = examples(product, count=500, seed=15, unseen=True)
    _, expected = fitted_parts(model, applications)
    found = scorer.margins(pd.DataFrame(applications))
    np.testing.assert_allclose(found, expected, rtol=0, atol=KNOWN_ANSWER_TOLERANCE)
    one_by_one = [scorer.margin_of(scorer.row(a), a) for a in applications]
    np.testing.assert_allclose(one_by_one, expected, rtol=0, atol=KNOWN_ANSWER_TOLERANCE)


def test_margins_without_array_form_are_the_log_odds(fitted, product):
    model = fitted(product, "forest")
    scorer = scorer_of(model)
    applications = examples(product, count=30, seed=15, unseen=True)
    probability = truth(model, applications)
    expected = np.log(probability / (1 - probability))
    found = scorer.margins(pd.DataFrame(applications))
    np.testing.assert_allclose(found, expected, rtol=0, atol=KNOWN_ANSWER_TOLERANCE)
    one_by_one = [scorer.margin_of(scorer.row(a), a) for a in applications[:3]]
    np.testing.assert_allclose(one_by_one, expected[:3], rtol=0, atol=KNOWN_ANSWER_TOLERANCE)


@pytest.mark.parametrize("name", ["svc_rbf", "forest"])
@pytest.mark.parametrize("product_name", ["consumer_credit", "mortgage"])
def test_matrix_is_what_the_classifier_is_given(fitted, product_name, name):
    product = read_product(product_name)
    model = fitted(product, name)
    applications = examples(product, count=300, seed=16, unseen=True)
    expected, _ = fitted_parts(model, applications)
    found = scorer_of(model).columns.matrix(pd.DataFrame(applications))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("product_name", ["consumer_credit", "mortgage"])
def test_row_is_that_of_the_matrix_and_of_the_score(fitted, product_name, name, middle):
    product = read_product(product_name)
    scorer = scorer_of(fitted(product, name))
    applications = [*examples(product, count=5, seed=17, unseen=True), middle(product)]
    matrix = scorer.columns.matrix(pd.DataFrame(applications))
    for application, expected in zip(applications, matrix, strict=True):
        row = scorer.row(application)
        assert row == scorer.score(application).row
        np.testing.assert_allclose(row, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("product_name", ["consumer_credit", "mortgage"])
def test_score_each_equals_score(fitted, product_name, name, middle):
    product = read_product(product_name)
    scorer = scorer_of(fitted(product, name))
    applications = [*examples(product, count=20, seed=18, unseen=True), middle(product)]
    each = scorer.score_each(applications)
    for score, application in zip(each, applications, strict=True):
        expected = scorer.score(application)
        assert score.probability == pytest.approx(expected.probability, rel=0, abs=1e-12)
        np.testing.assert_allclose(score.row, expected.row, rtol=0, atol=1e-12)
        assert list(score.normalised) == list(expected.normalised)
        for found, value in zip(
            score.normalised.values(), expected.normalised.values(), strict=True
        ):
            assert type(found) is type(value)
            assert found == (pytest.approx(value, abs=1e-12) if type(value) is float else value)
            assert type(value) is float or {*map(type, found)} == {int}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("product_name", ["consumer_credit", "mortgage"])
def test_columns_name_the_field_that_each_comes_from(fitted, product_name, name, middle):
    product = read_product(product_name)
    scorer = scorer_of(fitted(product, name))
    numbers = [f.name for f in product.inputs if f.kind == "integer"]
    numbers += [r.name for r in product.ratios]
    numbers += [f.name for f in product.inputs if f.kind == "flag"]
    absent = [f.name for f in product.inputs if f.kind != "choice" and f.optional]
    words = [f.name for f in product.inputs for _ in f.choices]
    assert scorer.columns.names == (*numbers, *absent, *words)
    row = scorer.row(middle(product) | dict.fromkeys(absent))
    assert row[len(numbers) : len(numbers) + len(absent)] == [1.0] * len(absent)
    assert len(row) == len(scorer.columns.names)


@pytest.mark.parametrize("name", ["svc_linear", "forest"])
@pytest.mark.parametrize("product_name", ["consumer_credit", "mortgage"])
def test_counted_as_is_the_median_or_the_most_frequent_word(fitted, product_name, name):
    product = read_product(product_name)
    scorer = scorer_of(fitted(product, name))
    fields = read_rows(product, product.data_file).fields.iloc[:FEW_ROWS]
    ratios = columns_of(product).transform(fields)[[r.name for r in product.ratios]]
    for field in product.inputs:
        counted = scorer.columns.counted_as(field.name)
        if field.kind == "choice":
            assert counted == fields[field.name].mode()[0]
        else:
            low, high = (fields[field.name].dropna().quantile(0.5, interpolation=i) for i in BOTH)
            assert low - 1e-9 <= counted <= high + 1e-9
    for name in ratios:
        assert scorer.columns.counted_as(name) == pytest.approx(ratios[name].median())


def test_scorer_layout_has_no_protected_field(fitted):
    for product_name in ("consumer_credit", "mortgage"):
        product = read_product(product_name)
        content = export_scorer(fitted(product, "svc_linear"))
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            layout = json.loads(str(arrays["layout"]))
        assert "protected_" not in json.dumps(layout)
        assert product.target not in json.dumps(layout)
        words = [name for name, _, _ in layout["choices"]]
        ratios = {r.name for r in product.ratios}
        assert {*layout["scaled"], *words} - ratios == set(product.by_name)


def test_scorer_without_array_form_needs_its_pipeline(fitted, product):
    with pytest.raises(ValueError, match="needs its pipeline"):
        Scorer(export_scorer(fitted(product, "forest")))
