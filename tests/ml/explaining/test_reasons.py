"""Tests of ml/explaining/reasons.py: shares, their order and the principal reasons."""

import pytest

from ml.explaining.reasons import MAX_PRINCIPAL_REASONS, MIN_RELATIVE_SHARE, Explainer
from ml.product.application import as_columns
from ml.product.samples import examples
from tests.fixtures.models import scorer_of

KINDS = ("svc_linear", "svc_rbf")
PRODUCTS = ("consumer_credit", "mortgage")


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("product_name", PRODUCTS)
def test_explain_every_real_refusal(case, product_name, name):
    this = case(product_name, name)
    refused = this.refused if name == "svc_linear" else this.refused[:100]
    counts = set()
    for application in refused:
        explanation = this.explain(application)
        shares = [reason.share for reason in explanation.reasons]
        assert {r.field for r in explanation.reasons} == set(this.product.players)
        assert shares == sorted(shares)  # what weighs most for refusing comes first
        principal = [reason.principal for reason in explanation.reasons]
        count = sum(principal)
        assert 1 <= count <= MAX_PRINCIPAL_REASONS == 4
        assert principal == [place < count for place in range(len(shares))]
        assert all(s < 0 and s <= MIN_RELATIVE_SHARE * shares[0] for s in shares[:count])
        if count < MAX_PRINCIPAL_REASONS:
            assert shares[count] > MIN_RELATIVE_SHARE * shares[0]
        counts.add(count)
    assert len(refused) >= 50
    assert len(counts) > 1 or product_name == "mortgage"  # where one field decides nearly alone


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("granted", [True, False])
def test_reasons_each_equal_the_reasons_of_one(case, name, granted):
    this = case("consumer_credit", name)
    applications = (this.granted if granted else this.refused)[:40]
    rows = [score.row for score in this.scorer.score_each(applications)]
    each = this.explainer.reasons_each(applications, rows, granted=granted)
    for reasons, application in zip(each, applications, strict=True):
        expected = this.explain(application, granted=granted).reasons
        for reason, other in zip(reasons, expected, strict=True):
            assert reason.share == pytest.approx(other.share, rel=0, abs=1e-12)
            assert reason._replace(share=other.share) == other


@pytest.mark.parametrize("name", KINDS)
def test_explain_margin_and_base_differ_by_the_shares(case, name):
    this = case("consumer_credit", name)
    base = this.scorer.margins(as_columns(this.background)).mean()
    for application in this.refused[:20]:
        explanation = this.explain(application)
        margin = this.scorer.margins(as_columns([application]))[0]
        assert explanation.margin == pytest.approx(margin, rel=0, abs=1e-12)
        assert explanation.base == pytest.approx(base, rel=0, abs=1e-12)
        moved = sum(reason.share for reason in explanation.reasons)
        assert moved == pytest.approx(margin - base, rel=0, abs=1e-9)


@pytest.mark.parametrize("name", KINDS)
def test_explain_a_grant_names_no_principal_reason(case, name):
    this = case("consumer_credit", name)
    for application in this.granted[:100]:
        reasons = this.explain(application, granted=True).reasons
        assert not any(reason.principal for reason in reasons)
        shares = [reason.share for reason in reasons]
        assert shares == sorted(shares, reverse=True)
        assert shares[0] > 0
        against = {r.field: r.share for r in this.explain(application, granted=False).reasons}
        assert against == {r.field: r.share for r in reasons}


@pytest.mark.parametrize("name", KINDS)
def test_explain_an_application_equal_to_what_it_is_compared_with(case, name):
    this = case("consumer_credit", name)
    [one] = this.background[:1]
    explanation = Explainer(this.product, this.scorer, [one]).explain(one, granted=False)
    assert explanation.margin == pytest.approx(explanation.base, rel=0, abs=1e-12)
    assert {reason.share for reason in explanation.reasons} == {0.0}
    assert not any(reason.principal for reason in explanation.reasons)


def test_explainer_of_many_players_without_a_closed_form(fitted, products):
    product = products["mortgage"]
    scorer = scorer_of(fitted(product, "boosting"))
    with pytest.raises(ValueError, match="21 players, but a model without a closed form can have"):
        Explainer(product, scorer, examples(product, count=1, seed=0))


def test_explainer_with_nothing_to_compare_with(product, bundle):
    with pytest.raises(ValueError, match="the background has no rows"):
        Explainer(product, bundle.scorer, [])
