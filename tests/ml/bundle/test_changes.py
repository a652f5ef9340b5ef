"""Tests that suggested changes are never referred, however near to a refusal."""

import pytest

from ml.bundle.changes import find_changes
from ml.bundle.decide import decide
from ml.explaining import counterfactual
from ml.training.dataset import as_applications


@pytest.fixture(scope="module")
def refusals(bundle, origin):
    rows = as_applications(origin.rows.fields)
    return [row for row in rows if bundle.scorer.score(row).probability < bundle.threshold]


def suggested(bundle, applications):
    return [
        application | suggestion.values
        for application in applications
        for suggestion in find_changes(bundle, application, threshold=bundle.threshold).suggestions
    ]


def test_suggested_loans_give_no_cause_for_a_referral(bundle, product, refusals):
    loans = suggested(bundle, refusals)
    assert len(loans) > 20
    for loan in loans:
        verdict = decide(bundle, loan)
        assert verdict.granted
        assert verdict.novelty <= 1
        assert not product.referral.is_near(verdict.probability, verdict.threshold)
        assert not any(rule.holds(loan) for rule in product.policy_rules)


def test_nearest_changes_that_the_model_grants_can_be_unusual(bundle, refusals):
    every = [
        application | suggestion.values
        for application in refusals
        for suggestion in counterfactual.nearest_granted(
            bundle.product,
            bundle.scorer,
            application,
            threshold=bundle.threshold,
            ranges=bundle.ranges,
        ).suggestions
    ]
    assert any(decide(bundle, loan).novelty > 1 for loan in every)


def test_search_ends_after_many_unusual_values(bundle, refusals, monkeypatch):
    monkeypatch.setattr(counterfactual, "MAX_UNUSUAL", 7)
    asked = []

    def never(row):
        asked.append(row)
        return False

    application = next(a for a in refusals if suggested(bundle, [a]))
    changes = counterfactual.nearest_granted(
        bundle.product,
        bundle.scorer,
        application,
        threshold=bundle.threshold,
        ranges=bundle.ranges,
        usual=never,
    )
    assert not changes.suggestions
    assert len(asked) == 7
