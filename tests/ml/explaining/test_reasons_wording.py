"""Tests of ml/explaining/reasons.py: the sentences that describe values."""

import numpy as np
import pytest

from ml.explaining.reasons import Explainer
from ml.product.application import as_columns
from ml.product.formats import format_integer
from ml.product.samples import UNSEEN, examples

KINDS = ("svc_linear", "svc_rbf")
PRODUCTS = ("consumer_credit", "mortgage")


def number_sentences(product):
    """Return, for each sentence about a number, its field or ratio and the case high or low."""
    found = {}
    for number in product.numbers:
        for way in ("high", "low"):
            found[number.reasons.say(way, label=number.label)] = (number.name, way)
    assert len(found) == len(set(found.values()))
    return found


def alone(product):
    """Return the integer fields that no ratio uses."""
    players = product.players
    return [f for f in product.inputs if f.kind == "integer" and players.get(f.name) == (f.name,)]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("product_name", PRODUCTS)
def test_explain_says_high_above_all_and_low_below_all_it_compares_with(case, product_name, name):
    this = case(product_name, name)
    tried = 0
    for field in alone(this.product):
        others = [a[field.name] for a in this.background if a[field.name] is not None]
        for value, way in ((field.maximum, "high"), (field.minimum, "low")):
            if value in others:  # its reasons can go either way
                continue
            for application in (*this.refused[:3], *this.granted[:3]):
                for granted in (True, False):
                    changed = application | {field.name: value}
                    reasons = this.explain(changed, granted=granted).reasons
                    [reason] = [r for r in reasons if r.field == field.name]
                    assert reason.text == getattr(field.reasons, way), field.name
            tried += 1
    assert tried >= 8


@pytest.mark.parametrize("name", KINDS)
def test_explain_amount_far_above_and_below_the_background(case, name):
    this = case("mortgage", name)
    amount = this.product.by_name["loan_amount"].reasons
    for value, words in ((1_500_000, amount.high), (1_000, amount.low)):
        for application in this.refused[:10]:
            reasons = this.explain(application | {"loan_amount": value}).reasons
            [reason] = [r for r in reasons if r.field == "loan_amount"]
            assert reason.text == words


@pytest.mark.parametrize("name", KINDS)
def test_explain_loan_far_above_the_price_of_others(case, name):
    this = case("consumer_credit", name)
    said = {
        *(this.product.by_name[n].reasons.high for n in ("loan_amount", "purchase_price")),
        this.product.ratios[0].reasons.high,
    }
    for application in this.refused[:20]:
        large = application | {"loan_amount": 50_000, "purchase_price": 50_000}
        [reason] = [r for r in this.explain(large).reasons if r.field == "loan_to_price"]
        assert reason.share < 0
        assert reason.text in said


@pytest.mark.parametrize("name", KINDS)
def test_explain_never_calls_a_number_high_where_none_compared_with_is_lower(case, name):
    this = case("consumer_credit", name)
    numbers = number_sentences(this.product)
    seen = this.scorer.columns.matrix(as_columns(this.background))
    unusual = [
        {**application, field.name: value}
        for application in this.refused[:10]
        for field in alone(this.product)
        for value in (field.minimum, field.maximum)
    ]
    count = 0
    for application in [*this.refused[:80], *unusual]:
        row = this.scorer.columns.matrix(as_columns([application]))[0]
        for reason in this.explain(application).reasons:
            if reason.text in numbers:
                member, way = numbers[reason.text]
                column = this.scorer.columns.names.index(member)
                apart = row[column] - seen[:, column]
                assert (apart.max() > 0 or not apart.any()) if way == "high" else apart.min() <= 0
                count += 1
    assert count > 500


@pytest.mark.parametrize("name", KINDS)
def test_explain_high_means_that_lower_rows_account_for_more_of_the_share(case, name):
    this = case("consumer_credit", name)
    seen = this.scorer.columns.matrix(as_columns(this.background))
    each = [Explainer(this.product, this.scorer, [other]) for other in this.background]
    ways = {"high": 0, "low": 0}
    for application in examples(this.product, count=8, seed=3):
        row = this.scorer.row(application)
        against = [
            {r.field: r.share for r in one.explain(application, granted=False).reasons}
            for one in each
        ]
        reasons = {reason.field: reason for reason in this.explain(application).reasons}
        for field in alone(this.product):
            shares = np.array([one[field.name] for one in against])
            reason = reasons[field.name]
            assert reason.share == pytest.approx(shares.mean(), rel=0, abs=1e-9)
            if application[field.name] is not None:
                column = this.scorer.columns.names.index(field.name)
                apart, toward = row[column] - seen[:, column], np.sign(reason.share) * shares
                above, below = toward[apart > 0].sum(), toward[apart < 0].sum()
                # Where a curve is flat, the effect is 0 and the value is compared with the mean.
                high = above > below if max(above, below) > 0 else apart.mean() > 0
                way = "high" if high else "low"
                assert reason.text == getattr(field.reasons, way)
                ways[way] += 1
    assert min(ways.values()) > 10


def test_explain_high_means_that_lower_values_of_others_would_help(case):
    this = case("consumer_credit", "svc_linear")
    numbers, margin = number_sentences(this.product), this.scorer.margin
    columns = np.array(this.scorer.columns.names)
    others = this.scorer.columns.matrix(as_columns(this.background))
    ways = {"high": 0, "low": 0}
    for application in this.refused[::5]:
        row = this.scorer.columns.matrix(as_columns([application]))[0]
        for reason in this.explain(application).reasons:
            if not (reason.principal and reason.text in numbers):
                continue
            member, way = numbers[reason.text]
            apart = row[columns.tolist().index(member)] - others[:, columns == member][:, 0]
            nearer = apart > 0 if way == "high" else apart < 0
            moved = np.where(columns == member, others, row)[nearer]
            gains = [margin.one(one) - margin.one(row) for one in moved]
            assert np.sum(gains) > 0, reason
            ways[way] += 1
    assert min(ways.values()) > 50


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("product_name", [*PRODUCTS, "reduced"])
def test_explain_says_what_is_missing_and_what_it_counts_as(case, product_name, name):
    this = case(product_name, name)
    optional = [f for f in this.product.inputs if f.optional]
    every = {"integer", "choice", "flag"} if product_name == "reduced" else {"integer"}
    assert {f.kind for f in optional} == every
    for field in optional:
        for value in (None, UNSEEN) if field.kind == "choice" else (None,):
            application = this.refused[0] | {field.name: value}
            [reason] = [r for r in this.explain(application).reasons if r.field == field.name]
            missing = field.reasons.say("missing", label=field.label)
            if reason.share > 0 and value is None:
                assert reason.text.en.startswith(f"{missing.en} (counted as ")
                assert reason.text.fr.startswith(f"{missing.fr} (valeur retenue\u00a0: ")
            else:
                assert reason.text == missing


def test_explain_never_gives_a_missing_answer_for_granting_without_a_note(case):
    this = case("reduced", "svc_linear")
    noted = {}
    for application in [*this.granted[:40], *this.refused[:20]]:
        for field in (f for f in this.product.inputs if f.optional):
            for granted in (True, False):
                empty = application | {field.name: None}
                reasons = this.explain(empty, granted=granted).reasons
                [reason] = [r for r in reasons if r.field == field.name]
                assert ("(counted as " in reason.text.en) == (reason.share > 0)
                if reason.share > 0:
                    noted[field.name] = (reason.text.en, reason.text.fr)
    counted = {name: this.scorer.columns.counted_as(name) for name in noted}
    assert noted["credit_history_meets_guidelines"] == (
        "Credit history meets guidelines is missing (counted as yes)",
        "Historique de crédit conforme aux règles\u00a0: "
        "valeur manquante (valeur retenue\u00a0: oui)",
    )
    home = next(
        c.label
        for c in this.product.by_name["property_type"].choices
        if c.value == counted["property_type"]
    )
    assert noted["property_type"][0] == f"Property type is missing (counted as {home.en})"
    number = format_integer(round(counted["liquid_assets"]), "en")
    assert (
        noted["liquid_assets"][0] == f"Liquid assets were not given (counted as {number}\u00a0USD)"
    )


@pytest.mark.parametrize("product_name", PRODUCTS)
def test_explain_flags_and_choices_say_the_answer(case, product_name):
    this = case(product_name, "svc_linear")
    for field in this.product.inputs:
        answers = [(c.value, c.label) for c in field.choices]
        if field.kind == "flag":
            answers = [(0, None), (1, None)]
        for value, label in answers:
            application = this.refused[0] | {field.name: value}
            [reason] = [r for r in this.explain(application).reasons if r.field == field.name]
            if label is None:
                assert reason.text == (field.reasons.yes if value else field.reasons.no)
            else:
                assert reason.text == field.reasons.say("value", label=field.label, choice=label)
                assert label.en in reason.text.en
                assert label.fr in reason.text.fr


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("product_name", PRODUCTS)
def test_explain_never_says_a_bare_label(case, product_name, name):
    this = case(product_name, name)
    bare = {said.name for said in (*this.product.inputs, *this.product.ratios)}
    for said in (*this.product.inputs, *this.product.ratios):
        bare |= {said.label.en, said.label.fr}
    for application in examples(this.product, count=40, seed=6, unseen=True):
        for reason in this.explain(application).reasons:
            assert not bare & {reason.text.en, reason.text.fr}
            assert "{" not in reason.text.en + reason.text.fr


def test_explain_ratio_without_a_value_is_not_known(case):
    this = case("tied", "svc_linear")
    [_, ratio] = this.product.ratios
    said = {way: ratio.reasons.say(way, label=ratio.label) for way in ("high", "low", "missing")}
    texts = []
    for application in this.refused:
        for lacking in ({"monthly_income": None}, {"loan_term_months": 0}):
            reasons = this.explain(application | lacking).reasons
            texts += [r.text for r in reasons if r.field == "loan_to_price"]
    assert len(texts) == 2 * len(this.refused)
    assert any(text.en.startswith(f"{said['missing'].en} (counted as ") for text in texts)
    assert not {said["high"], said["low"]} & set(texts)
    usual = [r.text for a in this.refused for r in this.explain(a).reasons]
    assert said["high"] in usual


def test_explain_describes_the_member_with_the_largest_effect(case):
    this = case("tied", "svc_linear")
    block = this.product.players["loan_to_price"]
    wordings = {
        said.reasons.say(way, label=said.label): said.name
        for said in (*this.product.inputs, *this.product.ratios)
        if said.name in block
        for way in ("high", "low", "missing")
    }
    columns = np.array(this.scorer.columns.names)
    others = this.scorer.columns.matrix(as_columns(this.background))
    spoken_of = set()
    for application in this.refused[:100]:
        row = this.scorer.columns.matrix(as_columns([application]))[0]
        [reason] = [r for r in this.explain(application).reasons if r.field == "loan_to_price"]
        gains = {}
        for name in block:
            moved = np.where(columns == name, others, row)
            margins = [this.scorer.margin.one(one) for one in moved]
            gains[name] = np.sign(reason.share) * (this.scorer.margin.one(row) - np.mean(margins))
        assert wordings[reason.text] == max(gains, key=gains.get)
        spoken_of.add(wordings[reason.text])
    assert len(spoken_of) >= 3


def test_explain_by_pipeline_orders_and_words_alike(case, product):
    this = case("consumer_credit", "boosting")
    few = this.background[:5]
    explainer = Explainer(product, this.scorer, few)
    fields = {**{r.name: r for r in product.ratios}, **product.by_name}
    ways = set()
    for application in [*this.refused[:4], *examples(product, count=2, seed=2, unseen=True)]:
        reasons = explainer.explain(application, granted=False).reasons
        shares = [reason.share for reason in reasons]
        assert shares == sorted(shares)
        principal = [reason.principal for reason in reasons]
        assert principal == [place < sum(principal) for place in range(len(shares))]
        for field in alone(product):
            [reason] = [r for r in reasons if r.field == field.name]
            words = fields[field.name].reasons
            value = application[field.name]
            others = [a[field.name] for a in few if a[field.name] is not None]
            if value is None:
                assert reason.text == words.missing
            elif value > max(others) or value < min(others):
                assert reason.text == (words.high if value > max(others) else words.low)
                ways.add(value > max(others))
    assert ways == {True, False}
