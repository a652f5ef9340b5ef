"""What ml/scoring/scorer.py promises."""

import dataclasses
import io
import json
import math
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest

from ml.bundle.manifest import ARRAYS, CHAMPION, TOLERANCE
from ml.product.definition import read_product
from ml.product.samples import examples
from ml.scoring.scorer import Scorer
from ml.training.candidates import candidates
from ml.training.columns import columns_of
from ml.training.dataset import read_rows
from ml.training.export import export_scorer, kind_of
from ml.training.train import DEFAULT, SEED, fit

ROOT = Path(__file__).parents[3]
ROWS = 400
SMALL = {"classify__n_estimators": [10], "classify__min_samples_leaf": [8]}
KINDS = {"svc_linear": "linear", "logistic": "linear", "svc_rbf": "rbf", "forest": "pipeline"}


def fitted(product, name):
    fields, good = read_rows(product, product.data_file)
    candidate = next(c for c in candidates(product, seed=SEED) if c.name == name)
    grid = SMALL if name == "forest" else {key: v[:1] for key, v in candidate.grid.items()}
    part = (fields.iloc[:ROWS], good[:ROWS])
    return fit(dataclasses.replace(candidate, grid=grid), product, part, effort=DEFAULT, seed=SEED)[
        0
    ]


@pytest.fixture(scope="module")
def fit_once():
    """Models by product and candidate, each fitted when it is first asked for."""
    models = {}

    def get(product, name):
        key = (product.name, name)
        if key not in models:
            models[key] = fitted(product, name)
        return models[key]

    return get


def scorer_of(model):
    def pipeline(frame):
        return model.predict_proba(pd.DataFrame(frame))[:, 1]

    return Scorer(export_scorer(model), pipeline=pipeline)


def truth(model, applications):
    return model.predict_proba(pd.DataFrame(applications))[:, 1]


def middle(product):
    """A valid application with every field in the middle of its range."""
    values = {}
    for field in product.inputs:
        if field.kind == "integer":
            values[field.name] = (field.minimum + field.maximum) // 2
        else:
            values[field.name] = 0 if field.kind == "flag" else field.choices[0].value
    return values


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("product_name", ["consumer_credit", "mortgage"])
def test_score_many_equals_the_pipeline(fit_once, product_name, name):
    product = read_product(product_name)
    model = fit_once(product, name)
    applications = examples(product, count=10_000, seed=7, unseen=True)
    frame = pd.DataFrame(applications)
    assert frame.isna().any().any()
    assert (frame == "never_seen").any().any()
    scorer = scorer_of(model)
    assert scorer.kind == kind_of(model) == KINDS[name]
    found = scorer.score_many(frame)
    np.testing.assert_allclose(found, truth(model, applications), rtol=0, atol=TOLERANCE)
    assert np.ptp(found) > 0.1


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("product_name", ["consumer_credit", "mortgage"])
def test_score_equals_score_many(fit_once, product_name, name):
    product = read_product(product_name)
    scorer = scorer_of(fit_once(product, name))
    count = 20 if name == "forest" else 1000
    applications = examples(product, count=count, seed=8, unseen=True)
    many = scorer.score_many(pd.DataFrame(applications))
    one_by_one = [scorer.score(application).probability for application in applications]
    np.testing.assert_allclose(one_by_one, many, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["svc_linear", "svc_rbf"])
def test_score_many_takes_lists_as_well_as_a_frame(fit_once, product, name):
    scorer = scorer_of(fit_once(product, name))
    applications = examples(product, count=200, seed=9, unseen=True)
    lists = {field: [a[field] for a in applications] for field in product.by_name}
    assert np.array_equal(scorer.score_many(lists), scorer.score_many(pd.DataFrame(applications)))


@pytest.mark.parametrize("name", ["svc_linear", "svc_rbf"])
def test_score_many_of_no_rows_is_empty(fit_once, product, name):
    found = scorer_of(fit_once(product, name)).score_many({field: [] for field in product.by_name})
    assert found.shape == (0,)


@pytest.mark.parametrize("count", [1, 1023, 1024, 1025])
def test_score_many_does_not_depend_on_the_rows_beside(fit_once, product, count):
    scorer = scorer_of(fit_once(product, "svc_rbf"))
    frame = pd.DataFrame(examples(product, count=1025, seed=3))
    found = scorer.score_many(frame.iloc[:count])
    np.testing.assert_allclose(found, scorer.score_many(frame)[:count], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["svc_linear", "logistic", "svc_rbf"])
@pytest.mark.parametrize("product_name", ["consumer_credit", "mortgage"])
def test_score_beyond_the_training_range_equals_the_pipeline(fit_once, product_name, name):
    product = read_product(product_name)
    model = fit_once(product, name)
    applications = []
    for field in product.inputs:
        if field.kind == "integer":
            extremes = (field.minimum, field.maximum, 10 * field.maximum, 10**12)
            applications += [middle(product) | {field.name: value} for value in extremes]
    scorer = scorer_of(model)
    expected = truth(model, applications)
    np.testing.assert_allclose(
        scorer.score_many(pd.DataFrame(applications)), expected, rtol=0, atol=TOLERANCE
    )
    one_by_one = [scorer.score(application).probability for application in applications]
    np.testing.assert_allclose(one_by_one, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["svc_linear", "svc_rbf"])
@pytest.mark.parametrize(
    "changes",
    [{"purchase_price": 0}, {"purchase_price": None}, {"loan_amount": None}],
    ids=["zero divisor", "missing divisor", "missing term"],
)
def test_score_ratio_without_a_value_is_imputed(fit_once, product, name, changes):
    model = fit_once(product, name)
    scorer = scorer_of(model)
    application = middle(product) | changes
    score = scorer.score(application)
    assert score.probability == pytest.approx(truth(model, [application])[0], abs=TOLERANCE)
    fields, _ = read_rows(product, product.data_file)
    ratios = columns_of(product).transform(fields.iloc[:ROWS])["loan_to_price"]
    imputed = (ratios.median() - ratios.mean()) / ratios.std(ddof=0)
    assert score.normalised["loan_to_price"] == pytest.approx(imputed)
    many = scorer.score_many(pd.DataFrame([application, middle(product)]))
    assert many[0] == pytest.approx(score.probability, abs=1e-12)


def test_score_ratio_is_clipped_to_its_bounds(fit_once, product):
    scorer = scorer_of(fit_once(product, "svc_linear"))
    equal = middle(product) | {"loan_amount": 8000, "purchase_price": 8000}
    above = equal | {"loan_amount": 9000}
    ratio = "loan_to_price"
    assert scorer.score(above).normalised[ratio] == scorer.score(equal).normalised[ratio]


@pytest.mark.parametrize("product_name", ["consumer_credit", "mortgage"])
def test_score_normalised_is_what_the_model_saw(fit_once, product_name):
    product = read_product(product_name)
    scorer = scorer_of(fit_once(product, "svc_linear"))
    fields, _ = read_rows(product, product.data_file)
    columns = columns_of(product).transform(fields.iloc[:ROWS])
    application = examples(product, count=1, seed=2)[0]
    normalised = scorer.score(application).normalised
    assert set(normalised) == {*(f.name for f in product.inputs), *(r.name for r in product.ratios)}
    row = columns_of(product).transform(pd.DataFrame([application])).iloc[0]
    for field in product.inputs:
        if field.kind == "choice":
            word = application[field.name] or columns[field.name].mode()[0]
            expected = [int(choice.value == word) for choice in field.choices]
            assert normalised[field.name] == expected
        else:
            column = columns[field.name]
            value = column.median() if math.isnan(row[field.name]) else row[field.name]
            filled = column.fillna(column.median())
            expected = (value - filled.mean()) / filled.std(ddof=0)
            assert normalised[field.name] == pytest.approx(expected)


def test_score_unseen_word_stands_for_none_of_the_choices(fit_once, product):
    scorer = scorer_of(fit_once(product, "svc_linear"))
    score = scorer.score(middle(product) | {"home_status": "never_seen"})
    assert set(score.normalised["home_status"]) == {0}


def test_score_negative_number_under_the_logarithm_mirrors_the_positive(fit_once):
    product = read_product("mortgage")
    model = fit_once(product, "svc_linear")
    applications = [middle(product) | {"net_worth": n} for n in (-7_000_000, -1, 0, 1, 7_000_000)]
    scorer = scorer_of(model)
    found = [scorer.score(application).probability for application in applications]
    np.testing.assert_allclose(found, truth(model, applications), rtol=0, atol=TOLERANCE)
    low, _, zero, _, high = (scorer.score(a).normalised["net_worth"] for a in applications)
    assert high - zero == pytest.approx(zero - low)


def test_score_missing_flag_is_imputed_and_marked(fit_once):
    product = read_product("mortgage")
    model = fit_once(product, "svc_linear")
    flag = "credit_history_meets_guidelines"
    assert product.by_name[flag].optional
    scorer = scorer_of(model)
    applications = [middle(product) | {flag: value} for value in (None, 0, 1)]
    scores = [scorer.score(application) for application in applications]
    found = [score.probability for score in scores]
    np.testing.assert_allclose(found, truth(model, applications), rtol=0, atol=TOLERANCE)
    assert scores[0].normalised[flag] == scores[2].normalised[flag]  # most histories meet them


def fitted_parts(model, applications):
    """What the fitted model's own classifier is given, and its margin or None."""
    raw = model.named_steps["columns"].transform(pd.DataFrame(applications))
    inner = model.named_steps["calibrated"].calibrated_classifiers_[0].estimator
    decision = getattr(inner, "decision_function", None)
    return inner[0].transform(raw), decision and decision(raw)


@pytest.mark.parametrize("name", ["svc_linear", "logistic", "svc_rbf"])
@pytest.mark.parametrize("product_name", ["consumer_credit", "mortgage"])
def test_margins_are_those_of_the_pipeline(fit_once, product_name, name):
    product = read_product(product_name)
    model = fit_once(product, name)
    scorer = scorer_of(model)
    applications = examples(product, count=500, seed=15, unseen=True)
    _, expected = fitted_parts(model, applications)
    found = scorer.margins(pd.DataFrame(applications))
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    one_by_one = [scorer.margin_of(scorer.row(a), a) for a in applications]
    np.testing.assert_allclose(one_by_one, expected, rtol=0, atol=TOLERANCE)


def test_margins_without_array_form_are_the_log_odds(fit_once, product):
    model = fit_once(product, "forest")
    scorer = scorer_of(model)
    applications = examples(product, count=30, seed=15, unseen=True)
    probability = truth(model, applications)
    expected = np.log(probability / (1 - probability))
    found = scorer.margins(pd.DataFrame(applications))
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    one_by_one = [scorer.margin_of(scorer.row(a), a) for a in applications[:3]]
    np.testing.assert_allclose(one_by_one, expected[:3], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["svc_rbf", "forest"])
@pytest.mark.parametrize("product_name", ["consumer_credit", "mortgage"])
def test_matrix_is_what_the_classifier_is_given(fit_once, product_name, name):
    product = read_product(product_name)
    model = fit_once(product, name)
    applications = examples(product, count=300, seed=16, unseen=True)
    expected, _ = fitted_parts(model, applications)
    found = scorer_of(model).matrix(pd.DataFrame(applications))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("product_name", ["consumer_credit", "mortgage"])
def test_row_is_that_of_the_matrix_and_of_the_score(fit_once, product_name, name):
    product = read_product(product_name)
    scorer = scorer_of(fit_once(product, name))
    applications = [*examples(product, count=5, seed=17, unseen=True), middle(product)]
    matrix = scorer.matrix(pd.DataFrame(applications))
    for application, expected in zip(applications, matrix, strict=True):
        row = scorer.row(application)
        assert row == scorer.score(application).row
        np.testing.assert_allclose(row, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("product_name", ["consumer_credit", "mortgage"])
def test_columns_name_the_field_that_each_comes_from(fit_once, product_name, name):
    product = read_product(product_name)
    scorer = scorer_of(fit_once(product, name))
    numbers = [f.name for f in product.inputs if f.kind == "integer"]
    numbers += [r.name for r in product.ratios]
    numbers += [f.name for f in product.inputs if f.kind == "flag"]
    absent = [f.name for f in product.inputs if f.kind != "choice" and f.optional]
    words = [f.name for f in product.inputs for _ in f.choices]
    assert scorer.columns == (*numbers, *absent, *words)
    row = scorer.row(middle(product) | dict.fromkeys(absent))
    assert row[len(numbers) : len(numbers) + len(absent)] == [1.0] * len(absent)
    assert len(row) == len(scorer.columns)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("product_name", ["consumer_credit", "mortgage"])
def test_margin_at_a_probability_is_calibrated_to_it(fit_once, product_name, name):
    product = read_product(product_name)
    scorer = scorer_of(fit_once(product, name))
    frame = pd.DataFrame(examples(product, count=100, seed=18))
    margins, probability = scorer.margins(frame), scorer.score_many(frame)
    found = [scorer.margin_at(p) for p in probability.tolist()]
    np.testing.assert_allclose(found, margins, rtol=0, atol=1e-9)
    low, high = scorer.margin_at(0.2), scorer.margin_at(0.8)
    assert low < high  # the higher the margin, the likelier a good loan
    assert ((margins >= high) == (probability >= 0.8)).all()
    assert ((margins >= low) == (probability >= 0.2)).all()


@pytest.mark.parametrize("product_name", ["consumer_credit", "mortgage"])
def test_place_is_the_mean_and_the_deviation_of_the_training_rows(fit_once, product_name):
    product = read_product(product_name)
    scorer = scorer_of(fit_once(product, "svc_linear"))
    fields, _ = read_rows(product, product.data_file)
    columns = columns_of(product).transform(fields.iloc[:ROWS])
    for name in [f.name for f in product.inputs if f.kind != "choice"] + [
        r.name for r in product.ratios
    ]:
        filled = columns[name].fillna(columns[name].median())
        assert scorer.place(name) == pytest.approx((filled.mean(), filled.std(ddof=0)))


def test_scorer_layout_has_no_protected_field(fit_once):
    for product_name in ("consumer_credit", "mortgage"):
        product = read_product(product_name)
        content = export_scorer(fit_once(product, "svc_linear"))
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            layout = json.loads(str(arrays["layout"]))
        assert "audit_" not in json.dumps(layout)
        assert product.target not in json.dumps(layout)
        words = [name for name, _, _ in layout["choices"]]
        ratios = {r.name for r in product.ratios}
        assert {*layout["scaled"], *words} - ratios == set(product.by_name)


def test_scorer_without_array_form_needs_its_pipeline(fit_once, product):
    with pytest.raises(ValueError, match="needs its pipeline"):
        Scorer(export_scorer(fit_once(product, "forest")))


def test_scorer_of_the_bundle_equals_its_pipeline_on_disk(bundle):
    model = joblib.load(bundle.directory / CHAMPION)
    applications = examples(bundle.product, count=1000, seed=11, unseen=True)
    scorer = Scorer((bundle.directory / ARRAYS).read_bytes())
    found = scorer.score_many(pd.DataFrame(applications))
    np.testing.assert_allclose(found, truth(model, applications), rtol=0, atol=TOLERANCE)


def test_deciding_by_a_linear_bundle_imports_no_heavy_package(bundle):
    code = f"""
import sys
from pathlib import Path
import ml.application, ml.bundle, ml.decide, ml.examples
bundle = ml.bundle.read_bundle(Path({str(bundle.directory)!r}))
rules = ml.application.Rules(bundle.product)
applications = ml.examples.examples(bundle.product, count=20, seed=0)
verdicts = [ml.decide.decide(bundle, rules.check(a)) for a in applications]
bundle.scorer.score_many(ml.application.as_columns(applications))
bundle.challenger("svc_rbf").score(applications[0])
heavy = {{"sklearn", "pandas", "scipy", "joblib", "shap", "numba", "fairlearn"}}
refused = [v for v in verdicts if not v.granted]
print(bundle.scorer.kind, sorted(heavy & set(sys.modules)), 0 < len(refused) < 20)
print(all(v.reasons for v in refused))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split("\n")[:2] == ["linear [] True", "True"]
