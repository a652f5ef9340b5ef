"""Tests of ml/bundle/decide.py."""

import dataclasses
import math

import pytest

from ml.bundle.decide import decide
from ml.product.samples import examples
from ml.training.dataset import as_applications, read_rows


@pytest.fixture(scope="module")
def applications(product):
    fields = read_rows(product, product.data_file).fields
    return [*as_applications(fields.head(100)), *examples(product, count=100, seed=9, unseen=True)]


def test_decide_grants_from_the_threshold_on(bundle, applications):
    granted = 0
    for application in applications:
        verdict = decide(bundle, application)
        score = bundle.scorer.score(application)
        assert (verdict.probability, verdict.normalised) == (score.probability, score.normalised)
        assert verdict.granted == (score.probability >= bundle.threshold)
        assert verdict.novelty == bundle.novelty.measure(score.row)
        granted += verdict.granted
    assert 20 < granted < 180


def test_decide_explains_a_refusal_and_no_grant(bundle, applications):
    for application in applications:
        verdict = decide(bundle, application)
        if verdict.granted:
            assert verdict.reasons is None
        else:
            explained = bundle.explainer.explain(application, granted=False)
            assert verdict.reasons == explained.reasons
            assert verdict.reasons[0].principal


def test_decide_at_the_threshold_itself_grants(bundle, applications):
    own = bundle.scorer.score(applications[0]).probability
    for threshold, granted in ((own, True), (math.nextafter(own, 1), False)):
        manifest = bundle.manifest.model_copy(update={"threshold": threshold})
        changed = dataclasses.replace(bundle, manifest=manifest)
        assert decide(changed, applications[0]).granted == granted


def test_decide_marks_what_is_far_from_the_training_rows(bundle, applications):
    usual = applications[0]
    absurd = {"loan_amount": 50_000, "purchase_price": 50_000, "loan_term_months": 6}
    absurd |= {"monthly_income": 1}
    assert decide(bundle, usual).novelty <= 1
    assert decide(bundle, usual | absurd).novelty > 1
