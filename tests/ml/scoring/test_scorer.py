"""Tests of ml/scoring/scorer.py."""

import math
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest

from ml.bundle.manifest import ARRAYS, CHAMPION, KNOWN_ANSWER_TOLERANCE
from ml.product.files import read_product
from ml.product.samples import examples
from ml.scoring.scorer import Scorer
from ml.training.columns import columns_of
from ml.training.dataset import read_rows
from ml.training.export import kind_of
from tests.fixtures.models import FEW_ROWS, scorer_of, with_optional

ROOT = Path(__file__).parents[3]
KINDS = {"svc_linear": "linear", "logistic": "linear", "svc_rbf": "rbf", "forest": "pipeline"}


def truth(model, applications):
    return model.predict_proba(pd.DataFrame(applications))[:, 1]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("product_name", ["consumer_credit", "mortgage"])
def test_score_many_equals_the_pipeline(fitted, product_name, name):
    product = read_product(product_name)
    model = fitted(product, name)
    applications = examples(product, count=10_000, seed=7, unseen=True)
    frame = pd.DataFrame(applications)
    assert frame.isna().any().any()
    assert (frame == "never_seen").any().any()
    scorer = scorer_of(model)
    assert scorer.kind == kind_of(model) == KINDS[name]
    found = scorer.score_many(frame)
    np.testing.assert_allclose(
        found, truth(model, applications), rtol=0, atol=KNOWN_ANSWER_TOLERANCE
    )
    assert np.ptp(found) > 0.1


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("product_name", ["consumer_credit", "mortgage"])
def test_score_equals_score_many(fitted, product_name, name):
    product = read_product(product_name)
    scorer = scorer_of(fitted(product, name))
    count = 20 if name == "forest" else 1000
    applications = examples(product, count=count, seed=8, unseen=True)
    many = scorer.score_many(pd.DataFrame(applications))
    one_by_one = [scorer.score(application).probability for application in applications]
    np.testing.assert_allclose(one_by_one, many, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["svc_linear", "svc_rbf"])
def test_score_many_takes_lists_as_well_as_a_frame(fitted, product, name):
    scorer = scorer_of(fitted(product, name))
    applications = examples(product, count=200, seed=9, unseen=True)
    lists = {field: [a[field] for a in applications] for field in product.by_name}
    assert np.array_equal(scorer.score_many(lists), scorer.score_many(pd.DataFrame(applications)))


@pytest.mark.parametrize("name", ["svc_linear", "svc_rbf"])
def test_score_many_of_no_rows_is_empty(fitted, product, name):
    found = scorer_of(fitted(product, name)).score_many({field: [] for field in product.by_name})
    assert found.shape == (0,)


@pytest.mark.parametrize("count", [1, 1023, 1024, 1025])
def test_score_many_does_not_depend_on_the_rows_beside(fitted, product, count):
    scorer = scorer_of(fitted(product, "svc_rbf"))
    frame = pd.DataFrame(examples(product, count=1025, seed=3))
    found = scorer.score_many(frame.iloc[:count])
    np.testing.assert_allclose(found, scorer.score_many(frame)[:count], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["svc_linear", "logistic", "svc_rbf"])
@pytest.mark.parametrize("product_name", ["consumer_credit", "mortgage"])
def test_score_beyond_the_training_range_equals_the_pipeline(fitted, product_name, name, middle):
    product = read_product(product_name)
    model = fitted(product, name)
    applications = []
    for field in product.inputs:
        if field.kind == "integer":
            extremes = (field.minimum, field.maximum, 10 * field.maximum, 10**12)
            applications += [middle(product) | {field.name: value} for value in extremes]
    scorer = scorer_of(model)
    expected = truth(model, applications)
    np.testing.assert_allclose(
        scorer.score_many(pd.DataFrame(applications)), expected, rtol=0, atol=KNOWN_ANSWER_TOLERANCE
    )
    one_by_one = [scorer.score(application).probability for application in applications]
    np.testing.assert_allclose(one_by_one, expected, rtol=0, atol=KNOWN_ANSWER_TOLERANCE)


@pytest.mark.parametrize("name", ["svc_linear", "svc_rbf"])
@pytest.mark.parametrize(
    "changes",
    [{"purchase_price": 0}, {"purchase_price": None}, {"loan_amount": None}],
    ids=["zero divisor", "missing divisor", "missing term"],
)
def test_score_ratio_without_a_value_is_imputed(fitted, product, name, changes, middle):
    model = fitted(product, name)
    scorer = scorer_of(model)
    application = middle(product) | changes
    score = scorer.score(application)
    assert score.probability == pytest.approx(
        truth(model, [application])[0], abs=KNOWN_ANSWER_TOLERANCE
    )
    fields = read_rows(product, product.data_file).fields
    ratios = columns_of(product).transform(fields.iloc[:FEW_ROWS])["loan_to_price"]
    imputed = (ratios.median() - ratios.mean()) / ratios.std(ddof=0)
    assert score.normalised["loan_to_price"] == pytest.approx(imputed)
    many = scorer.score_many(pd.DataFrame([application, middle(product)]))
    assert many[0] == pytest.approx(score.probability, abs=1e-12)


def test_score_ratio_is_clipped_to_its_bounds(fitted, product, middle):
    scorer = scorer_of(fitted(product, "svc_linear"))
    equal = middle(product) | {"loan_amount": 8000, "purchase_price": 8000}
    above = equal | {"loan_amount": 9000}
    ratio = "loan_to_price"
    assert scorer.score(above).normalised[ratio] == scorer.score(equal).normalised[ratio]


@pytest.mark.parametrize("product_name", ["consumer_credit", "mortgage"])
def test_score_normalised_is_what_the_model_saw(fitted, product_name):
    product = read_product(product_name)
    scorer = scorer_of(fitted(product, "svc_linear"))
    fields = read_rows(product, product.data_file).fields
    columns = columns_of(product).transform(fields.iloc[:FEW_ROWS])
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


def test_score_unseen_word_stands_for_none_of_the_choices(fitted, product, middle):
    scorer = scorer_of(fitted(product, "svc_linear"))
    score = scorer.score(middle(product) | {"home_status": "never_seen"})
    assert set(score.normalised["home_status"]) == {0}


def test_score_negative_number_under_the_logarithm_mirrors_the_positive(fitted, middle):
    product = read_product("mortgage")
    model = fitted(product, "svc_linear")
    applications = [middle(product) | {"net_worth": n} for n in (-7_000_000, -1, 0, 1, 7_000_000)]
    scorer = scorer_of(model)
    found = [scorer.score(application).probability for application in applications]
    np.testing.assert_allclose(
        found, truth(model, applications), rtol=0, atol=KNOWN_ANSWER_TOLERANCE
    )
    low, _, zero, _, high = (scorer.score(a).normalised["net_worth"] for a in applications)
    assert high - zero == pytest.approx(zero - low)


def test_score_missing_flag_is_imputed_and_marked(fitted, middle):
    flag = "credit_history_meets_guidelines"
    product = with_optional(read_product("mortgage"), flag)
    model = fitted(product, "svc_linear")
    scorer = scorer_of(model)
    applications = [middle(product) | {flag: value} for value in (None, 0, 1)]
    scores = [scorer.score(application) for application in applications]
    found = [score.probability for score in scores]
    np.testing.assert_allclose(
        found, truth(model, applications), rtol=0, atol=KNOWN_ANSWER_TOLERANCE
    )
    assert scores[0].normalised[flag] == scores[2].normalised[flag]  # most histories meet them


def test_scorer_of_the_bundle_equals_its_pipeline_on_disk(bundle):
    model = joblib.load(bundle.directory / CHAMPION)
    applications = examples(bundle.product, count=1000, seed=11, unseen=True)
    scorer = Scorer((bundle.directory / ARRAYS).read_bytes())
    found = scorer.score_many(pd.DataFrame(applications))
    np.testing.assert_allclose(
        found, truth(model, applications), rtol=0, atol=KNOWN_ANSWER_TOLERANCE
    )


def test_deciding_by_a_linear_bundle_imports_no_heavy_package(bundle):
    code = f"""
import sys
from pathlib import Path
from ml.bundle.decide import decide
from ml.bundle.reader import read_bundle
from ml.product.application import Rules, as_columns
from ml.product.samples import examples
bundle = read_bundle(Path({str(bundle.directory)!r}))
rules = Rules(bundle.product)
applications = examples(bundle.product, count=20, seed=0)
verdicts = [decide(bundle, rules.check(a)) for a in applications]
bundle.scorer.score_many(as_columns(applications))
bundle.challenger("svc_rbf").score(applications[0])
heavy = {{"sklearn", "pandas", "scipy", "joblib", "matplotlib", "fairlearn"}}
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
