"""Tests of ml/bundle/decide.py."""

import dataclasses
import math

import pytest

from ml.bundle.decide import decide, decide_each
from ml.bundle.reader import read_bundle
from ml.explaining.reasons import Explainer
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


def assert_alike(found, expected):
    """Compare two values: what is not a float must be equal, and of the same type."""
    assert type(found) is type(expected)
    if isinstance(expected, float):
        assert found == pytest.approx(expected, rel=0, abs=1e-12)
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        assert_alike(list(found.values()), list(expected.values()))
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for parts in zip(found, expected, strict=True):
            assert_alike(*parts)
    else:
        assert found == expected


def test_decide_each_equals_decide(bundle, applications):
    verdicts = decide_each(bundle, applications)
    assert_alike(verdicts, [decide(bundle, application) for application in applications])
    assert len({verdict.granted for verdict in verdicts}) == 2


@pytest.mark.parametrize("granted", [True, False])
def test_decide_each_of_one_kind_or_of_none(bundle, applications, granted):
    alike = [a for a in applications if decide(bundle, a).granted == granted]
    for some in (alike, alike[:1], []):
        expected = [decide(bundle, application) for application in some]
        assert_alike(decide_each(bundle, some), expected)


def test_decide_each_at_the_threshold_itself_grants(bundle, applications):
    own = decide_each(bundle, applications)[0].probability
    for threshold, granted in ((own, True), (math.nextafter(own, 1), False)):
        manifest = bundle.manifest.model_copy(update={"threshold": threshold})
        changed = dataclasses.replace(bundle, manifest=manifest)
        verdict = decide_each(changed, applications)[0]
        assert verdict.granted == granted
        assert (verdict.reasons is None) == granted


def test_decide_each_by_a_pipeline_equals_decide(run_by_pipeline, applications):
    bundle = read_bundle(run_by_pipeline)
    # A few background rows, because a refusal is explained by scoring every coalition against each.
    explainer = Explainer(bundle.product, bundle.scorer, applications[:2])
    bundle = dataclasses.replace(bundle, explainer=explainer)
    some = applications[:20]
    verdicts = decide_each(bundle, some)
    assert len({verdict.granted for verdict in verdicts}) == 2
    assert_alike(verdicts, [decide(bundle, application) for application in some])
