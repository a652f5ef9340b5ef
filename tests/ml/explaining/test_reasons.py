"""What ml/explaining/reasons.py promises."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from ml.explaining.reasons import LEAST, MOST, Explainer
from ml.product.application import as_columns
from ml.product.definition import Product, read_product
from ml.product.samples import UNSEEN, examples
from ml.scoring.scorer import Scorer
from ml.training.candidates import candidates
from ml.training.dataset import as_applications, read_rows
from ml.training.export import export_scorer
from ml.training.reference import background
from ml.training.train import DEFAULT, SEED, fit

KINDS = ("svc_linear", "svc_rbf")
PRODUCTS = ("consumer_credit", "mortgage")
PAYMENT = {
    "name": "payment_to_income",
    "label": {"en": "Payment to income", "fr": "Mensualité rapportée au revenu"},
    "sum": {"loan_amount": 1},
    "over": ["loan_term_months", "monthly_income"],
    "minimum": 0.0,
    "maximum": 2.0,
}


class Case:
    """A model's explainer, and real rows that the model refuses."""

    def __init__(self, product, scorer, *, most=50):
        self.product, self.scorer = product, scorer
        fields, _ = read_rows(product, product.data_file)
        probability = scorer.score_many(fields)
        self.background = background(fields, probability, threshold=0.5)[:most]
        self.explainer = Explainer(product, scorer, self.background)
        self.refused = as_applications(fields[probability < 0.5])
        self.granted = as_applications(fields[probability >= 0.5])

    def explain(self, application, *, granted=False):
        return self.explainer.explain(application, granted=granted)


@pytest.fixture(scope="module")
def case(trained):
    """Cases by product and candidate, each made when it is first asked for."""
    made = {}

    def get(product_name, name):
        if (product_name, name) not in made:
            product = read_product(product_name)
            here = product_name == "consumer_credit"
            model = trained.models[name] if here else fitted(product, name)
            made[product_name, name] = Case(product, scorer_of(model))
        return made[product_name, name]

    return get


def fitted(product, name):
    fields, good = read_rows(product, product.data_file)
    candidate = next(c for c in candidates(product, seed=SEED) if c.name == name)
    grid = {key: values[:1] for key, values in candidate.grid.items()}
    if name == "boosting":
        grid = {"classify__max_iter": [10]}
    rows = (fields.iloc[:400], good[:400])
    return fit(dataclasses.replace(candidate, grid=grid), product, rows, effort=DEFAULT, seed=SEED)[
        0
    ]


def scorer_of(model):
    return Scorer(
        export_scorer(model), pipeline=lambda frame: model.predict_proba(pd.DataFrame(frame))[:, 1]
    )


def spoken(product):
    """What each wording of a number says: the member it speaks of, and whether that is high."""
    found = {}
    for said in (*product.inputs, *product.ratios):
        if isinstance(said, type(product.inputs[0])) and said.kind != "integer":
            continue
        for way in ("high", "low"):
            found[said.reasons.say(way, label=said.label)] = (said.name, way)
    assert len(found) == len(set(found.values()))
    return found


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
        assert 1 <= count <= MOST == 4
        assert principal == [place < count for place in range(len(shares))]
        assert all(s < 0 and s <= LEAST * shares[0] for s in shares[:count])
        if count < MOST:
            assert shares[count] > LEAST * shares[0]
        counts.add(count)
    assert len(refused) >= 50
    assert len(counts) > 1 or product_name == "mortgage"  # where one field decides nearly alone


@pytest.mark.parametrize("name", KINDS)
def test_explain_margin_and_base_differ_by_the_shares(case, name):
    this = case("consumer_credit", name)
    base = this.scorer.margins(as_columns(this.background)).mean()
    assert base >= this.scorer.margin_at(0.5)
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


def alone(product):
    """The numbers that no ratio ties to others."""
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
            for application in (*this.refused[:5], *this.granted[:5]):
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
    numbers = spoken(this.product)
    seen = this.scorer.matrix(as_columns(this.background))
    unusual = [
        {**application, field.name: value}
        for application in this.refused[:20]
        for field in alone(this.product)
        for value in (field.minimum, field.maximum)
    ]
    count = 0
    for application in [*this.refused[:200], *unusual]:
        row = this.scorer.matrix(as_columns([application]))[0]
        for reason in this.explain(application).reasons:
            if reason.text in numbers:
                member, way = numbers[reason.text]
                column = this.scorer.columns.index(member)
                apart = row[column] - seen[:, column]
                assert (apart.max() > 0 or not apart.any()) if way == "high" else apart.min() <= 0
                count += 1
    assert count > 1000


@pytest.mark.parametrize("name", KINDS)
def test_explain_high_means_that_lower_rows_account_for_more_of_the_share(case, name):
    this = case("consumer_credit", name)
    seen = this.scorer.matrix(as_columns(this.background))
    each = [Explainer(this.product, this.scorer, [other]) for other in this.background]
    ways = {"high": 0, "low": 0}
    for application in examples(this.product, count=15, seed=3):
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
                column = this.scorer.columns.index(field.name)
                apart, toward = row[column] - seen[:, column], np.sign(reason.share) * shares
                way = "high" if toward[apart > 0].sum() > toward[apart < 0].sum() else "low"
                assert reason.text == getattr(field.reasons, way)
                ways[way] += 1
    assert min(ways.values()) > 20


def test_explain_high_means_that_lower_values_of_others_would_help(case):
    this = case("consumer_credit", "svc_linear")
    numbers, margin = spoken(this.product), this.scorer.margin
    columns = np.array(this.scorer.columns)
    others = this.scorer.matrix(as_columns(this.background))
    ways = {"high": 0, "low": 0}
    for application in this.refused[::5]:
        row = this.scorer.matrix(as_columns([application]))[0]
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
@pytest.mark.parametrize("product_name", PRODUCTS)
def test_explain_what_is_missing_is_not_known(case, product_name, name):
    this = case(product_name, name)
    optional = [f for f in this.product.inputs if f.optional]
    assert {f.kind for f in optional} > {"integer"}
    for field in optional:
        for value in (None, UNSEEN) if field.kind == "choice" else (None,):
            application = this.refused[0] | {field.name: value}
            [reason] = [r for r in this.explain(application).reasons if r.field == field.name]
            assert reason.text == field.reasons.missing


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
    for application in examples(this.product, count=100, seed=6, unseen=True):
        for reason in this.explain(application).reasons:
            assert not bare & {reason.text.en, reason.text.fr}
            assert "{" not in reason.text.en + reason.text.fr


@pytest.fixture(scope="module")
def tied():
    """The case of a product whose second ratio has a field that may be missing."""
    stated = read_product("consumer_credit").model_dump(exclude_unset=True)
    product = Product.model_validate(stated | {"ratios": [*stated["ratios"], PAYMENT]})
    return Case(product, scorer_of(fitted(product, "svc_linear")))


def test_explain_ratio_without_a_value_is_not_known(tied):
    this = tied
    [_, ratio] = this.product.ratios
    said = {way: ratio.reasons.say(way, label=ratio.label) for way in ("high", "low", "missing")}
    texts = []
    for application in this.refused:
        for lacking in ({"monthly_income": None}, {"loan_term_months": 0}):
            reasons = this.explain(application | lacking).reasons
            texts += [r.text for r in reasons if r.field == "loan_to_price"]
    assert len(texts) == 2 * len(this.refused)
    assert said["missing"] in texts
    assert not {said["high"], said["low"]} & set(texts)
    usual = [r.text for a in this.refused for r in this.explain(a).reasons]
    assert said["high"] in usual


def test_explain_a_block_speaks_of_the_member_that_does_most(tied):
    this = tied
    block = this.product.players["loan_to_price"]
    wordings = {
        said.reasons.say(way, label=said.label): said.name
        for said in (*this.product.inputs, *this.product.ratios)
        if said.name in block
        for way in ("high", "low", "missing")
    }
    columns = np.array(this.scorer.columns)
    others = this.scorer.matrix(as_columns(this.background))
    spoken_of = set()
    for application in this.refused[:100]:
        row = this.scorer.matrix(as_columns([application]))[0]
        [reason] = [r for r in this.explain(application).reasons if r.field == "loan_to_price"]
        gains = {}
        for name in block:
            moved = np.where(columns == name, others, row)
            margins = [this.scorer.margin.one(one) for one in moved]
            gains[name] = np.sign(reason.share) * (this.scorer.margin.one(row) - np.mean(margins))
        assert wordings[reason.text] == max(gains, key=gains.get)
        spoken_of.add(wordings[reason.text])
    assert len(spoken_of) >= 3


def test_explain_by_pipeline_orders_and_words_alike(product):
    this = Case(product, scorer_of(fitted(product, "boosting")), most=5)
    fields = {**{r.name: r for r in product.ratios}, **product.by_name}
    ways = set()
    for application in [*this.refused[:4], *examples(product, count=2, seed=2, unseen=True)]:
        reasons = this.explain(application).reasons
        shares = [reason.share for reason in reasons]
        assert shares == sorted(shares)
        principal = [reason.principal for reason in reasons]
        assert principal == [place < sum(principal) for place in range(len(shares))]
        for field in alone(product):
            [reason] = [r for r in reasons if r.field == field.name]
            words = fields[field.name].reasons
            value = application[field.name]
            others = [a[field.name] for a in this.background if a[field.name] is not None]
            if value is None:
                assert reason.text == words.missing
            elif value > max(others) or value < min(others):
                assert reason.text == (words.high if value > max(others) else words.low)
                ways.add(value > max(others))
    assert ways == {True, False}


def test_explainer_of_many_players_without_a_closed_form():
    product = read_product("mortgage")
    scorer = scorer_of(fitted(product, "boosting"))
    with pytest.raises(ValueError, match="21 players and no closed form: at most 12"):
        Explainer(product, scorer, examples(product, count=1, seed=0))


def test_explainer_with_nothing_to_compare_with(product, bundle):
    with pytest.raises(ValueError, match="nothing to compare with"):
        Explainer(product, bundle.scorer, [])
