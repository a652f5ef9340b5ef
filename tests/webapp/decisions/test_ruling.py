"""Tests what is decided: the model’s word, a rule’s refusal, or a referral, and what is stored."""

import json

import pytest
from pydantic import TypeAdapter

from ml.bundle.decide import decide
from ml.product.application import Submission
from ml.product.conditions import PolicyRule, Referral
from ml.product.definition import Product
from webapp.decisions import search
from webapp.decisions.circumstances import Circumstances
from webapp.decisions.records import StoredCauses
from webapp.decisions.ruling import rule
from webapp.desk.service import switch
from webapp.ledger.transaction import unit_of_work

TEXT = {"en": "a", "fr": "b"}
CAUSES = TypeAdapter(StoredCauses)


@pytest.fixture
def verdict(bundle, granted):
    return decide(bundle, granted)


@pytest.fixture
def ruled(product, granted, verdict):
    """Rule on the granted application with other rules, circumstances or a changed verdict."""

    def get(*, then=(), referring=False, tries=0, referral=None, **changed):
        rules = [
            PolicyRule.model_validate(
                {"name": f"r{i}", "label": TEXT, "reason": TEXT, "then": t, **always()}
            )
            for i, t in enumerate(then)
        ]
        more = {"policy_rules": tuple(rules), "referral": referral or Referral(tries=3)}
        bank: Product = product.model_copy(update=more)
        this = verdict._replace(**changed)
        return rule(bank, Submission(granted), this, Circumstances(referring, tries))

    return get


def always():
    return {"sum": {"loan_amount": 1}, "above": 0}


@pytest.mark.parametrize(
    ("circumstances", "decision", "basis", "causes"),
    [
        ({}, "granted", "model", []),
        ({"granted": False}, "refused", "model", []),
        ({"then": ["refuse"]}, "refused", "policy", ["rule"]),
        ({"then": ["refuse"], "granted": False}, "refused", "policy", ["rule"]),
        ({"then": ["refer"]}, "referred", "policy", ["rule"]),
        ({"then": ["refer", "refuse"]}, "refused", "policy", ["rule", "rule"]),
        ({"novelty": 1.01}, "referred", "unusual", ["unusual"]),
        ({"tries": 3}, "referred", "tries", ["tries"]),
        ({"tries": 2}, "granted", "model", []),
        ({"referring": True}, "referred", "switch", ["switch"]),
        ({"referring": True, "then": ["refuse"]}, "referred", "policy", ["rule", "switch"]),
        (
            {"referring": True, "novelty": 2.0, "tries": 5},
            "referred",
            "tries",
            ["tries", "unusual", "switch"],
        ),
        ({"novelty": 1.01, "referral": Referral(unusual=False)}, "granted", "model", []),
        (
            {"probability": 0.505, "referral": Referral(band=0.01)},
            "referred",
            "near_threshold",
            ["near_threshold"],
        ),
        ({"probability": 0.52, "referral": Referral(band=0.01)}, "granted", "model", []),
    ],
)
def test_rule(ruled, circumstances, decision, basis, causes):
    ruling = ruled(**circumstances)
    assert (ruling.decision, ruling.basis) == (decision, basis)
    assert [cause["cause"] for cause in ruling.causes] == causes
    assert CAUSES.validate_python(ruling.causes) == ruling.causes


def test_referred_decision_is_stored_with_its_causes_and_a_review(
    app, take, refused, operator, query
):
    unknown = {**refused, "monthly_income": None}
    with app.app_context():
        decided = take(unknown, operator=operator)
        decision, contents = search.find_decision(decided.id)
    assert (decision.decision, decision.basis) == ("referred", "policy")
    assert decision.policy.startswith("policy-")
    assert [(c["cause"], c["name"], c["then"]) for c in contents.causes][:1] == [
        ("rule", "income_known", "refer")
    ]
    assert contents.causes[0]["text"]["en"] == "Nothing is known of the income"
    reviews = "SELECT decision_id, opened_by, cause, closed_at FROM reviews"
    assert query(reviews) == [(decided.id, operator.id, "referred", None)]


def test_undisputed_decision_opens_no_review(app, take, granted, refused, operator, query):
    with app.app_context():
        for application in (granted, refused):
            assert take(application, operator=operator).basis == "model"
    assert query("SELECT count(*) FROM reviews") == [(0,)]


def test_many_tries_with_a_reference_are_referred(app, take, granted, operator, product):
    count = product.referral.tries
    with app.app_context():
        tries = [take(granted, operator=operator, reference="A/1").basis for _ in range(count + 2)]
        assert take(granted, operator=operator, reference="A/2").basis == "model"
        assert take(granted, operator=operator).basis == "model"
    assert tries == ["model"] * count + ["tries"] * 2


def test_many_corrections_one_after_the_other_are_referred(app, take, granted, operator, product):
    count, bases, last = product.referral.tries, [], None
    with app.app_context():
        for _ in range(count + 2):
            decision = take(granted, operator=operator, corrects=last)
            assert decision.corrects == last
            bases.append(decision.basis)
            last = decision.id
    assert bases == ["model"] * count + ["tries"] * 2


def test_old_tries_do_not_count(app, take, granted, operator, product, decide_all, copy, query):
    [number] = decide_all([granted])
    copy(number, "2026-01-02 03:04:05", count=9, reference="'A/1'")
    with app.app_context():
        assert take(granted, operator=operator, reference="A/1").basis == "model"


def test_switch_refers_at_once_on_every_channel(app, take, granted, operator, post_api):
    def turn(referring):
        with app.app_context(), unit_of_work() as transaction:
            switch(transaction, referring=referring, reason="a test", operator=operator)

    def decide_everywhere():
        with app.app_context():
            at_desk = take(granted, operator=operator)
        return at_desk.decision, post_api(granted).json["decision"]

    assert decide_everywhere() == ("granted", "granted")
    turn(True)
    assert decide_everywhere() == ("referred", "referred")
    turn(False)
    assert decide_everywhere() == ("granted", "granted")


@pytest.fixture
def post_api(client, api_key):
    headers = {"Authorization": f"Bearer {api_key}"}
    return lambda application: client.post("/api/v1/decisions", json=application, headers=headers)


def test_policy_refusal_keeps_no_reasons_of_the_model(bundle, refused, product):
    from webapp.decisions.writing import contents_of

    always_refuse = PolicyRule.model_validate(
        {"name": "r", "label": TEXT, "reason": TEXT, "then": "refuse", **always()}
    )
    bank = product.model_copy(update={"policy_rules": (always_refuse,)})
    submission, verdict = Submission(refused), decide(bundle, refused)
    ruling = rule(bank, submission, verdict, Circumstances())
    assert (ruling.decision, ruling.basis) == ("refused", "policy")
    contents = contents_of(submission, verdict, ruling)
    assert contents.reasons is None
    assert json.loads(json.dumps(contents.causes))[0]["text"] == TEXT
