"""Tests conditions on applications: when they hold, what they may state, and their version."""

import math

import pytest
from pydantic import ValidationError

from ml.product.conditions import (
    MAX_TRIES,
    Condition,
    PolicyRule,
    Referral,
    passing_unanswered,
    policy_version,
)
from ml.product.files import PRODUCTS, read_product
from ml.product.quantities import Formula

SAID = {"income": 1_000, "expenses": 400, "amount": 6_000, "term": 12, "home": "owner", "record": 1}
LACKING = {**SAID, "income": None}
TEXT = {"en": "a", "fr": "b"}


def condition(**stated):
    return Condition.model_validate({"name": "c", **stated})


INSTALMENT = {
    "sum": {"income": 1, "expenses": -1},
    "times": ["term"],
    "over": ["amount"],
}


def test_value_of_a_quantity():
    quantity = Formula.model_validate({"name": "q", **INSTALMENT})
    assert quantity.value(SAID) == (1_000 - 400) * 12 / 6_000
    assert math.isnan(quantity.value(LACKING))
    assert math.isnan(quantity.value({**SAID, "amount": 0}))
    assert quantity.inputs == ("income", "expenses", "term", "amount")


@pytest.mark.parametrize(
    ("stated", "holds", "lacking"),
    [
        ({**INSTALMENT, "below": 1.3}, True, False),
        ({**INSTALMENT, "below": 1.2}, False, False),
        ({**INSTALMENT, "above": 1.1}, True, False),
        ({**INSTALMENT, "above": 1.2}, False, False),
        ({**INSTALMENT, "above": 2, "below": 1.3}, True, False),
        ({"missing": ["income"]}, False, True),
        ({"is": {"home": "owner"}}, True, True),
        ({"is": {"home": "renting"}}, False, False),
        ({"is": {"record": True}}, True, True),
        ({"is": {"record": False}}, False, False),
        ({"is": {"record": True}, "missing": ["income"]}, False, True),
        ({"is": {"home": "owner"}, **INSTALMENT, "below": 1.3}, True, False),
        ({"is": {"home": "renting"}, **INSTALMENT, "below": 1.3}, False, False),
    ],
)
def test_condition_holds_if_all_that_it_states_is_true(stated, holds, lacking):
    assert condition(**stated).holds(SAID) == holds
    assert condition(**stated).holds(LACKING) == lacking


@pytest.mark.parametrize(
    ("income", "bounds", "holds"),
    [
        (1, {"above": 10**300}, True),
        (1, {"below": -(10**300)}, False),
        (-1, {"above": 0}, False),
        (-1, {"below": -(10**300)}, True),
        (0, {"above": -1, "below": 1}, False),
        (None, {"above": 0, "below": 0}, False),
    ],
)
def test_number_divided_by_zero_is_beyond_every_bound(income, bounds, holds):
    this = condition(sum={"income": 1}, over=["amount"], **bounds)
    assert this.holds({"income": income, "amount": 0}) == holds


def test_instalment_without_any_income_breaks_the_rule_that_compares_them():
    rule = condition(sum={"amount": 1}, over=["term", "income"], above=0.33)
    assert rule.holds({"amount": 6_000, "term": 12, "income": 0})
    assert not rule.holds({"amount": 6_000, "term": 12, "income": 2_000})


@pytest.mark.parametrize(("bounds", "holds"), [({"below": 1}, False), ({"above": 1}, False)])
def test_condition_does_not_hold_at_its_bound(bounds, holds):
    for amount in (7, 49, 1_000_003, 10**15 + 1):
        this = condition(sum={"income": 1}, times=["term"], over=["amount"], **bounds)
        assert this.holds({"income": amount // 7, "term": 7, "amount": amount // 7 * 7}) == holds
        beside = amount // 7 * 7 + (1 if "below" in bounds else -1)
        assert this.holds({"income": amount // 7, "term": 7, "amount": beside})


@pytest.mark.parametrize(
    "stated",
    [
        {},
        {"sum": {"income": 1}},
        {"above": 1},
        {"times": ["term"], "missing": ["income"]},
        {"over": ["term"], "is": {"record": True}},
        {"equals": {"record": True}},
        {"answers": {"record": True}},
    ],
)
def test_condition_that_states_nothing_or_something_unknown_is_refused(stated):
    with pytest.raises(ValidationError):
        condition(**stated)


def test_policy_version_changes_with_every_rule_and_with_referral():
    rule = PolicyRule.model_validate(
        {"name": "r", "label": TEXT, "reason": TEXT, "then": "refer", "missing": ["income"]}
    )
    changed = rule.model_copy(update={"then": "refuse"})
    versions = [
        policy_version([], Referral()),
        policy_version([rule], Referral()),
        policy_version([changed], Referral()),
        policy_version([rule], Referral(band=0.1)),
        policy_version([rule], Referral(tries=2)),
    ]
    assert len(set(versions)) == len(versions)
    assert policy_version([rule], Referral()) == versions[1]


@pytest.mark.parametrize("name", [path.stem for path in sorted(PRODUCTS.glob("*.toml"))])
def test_shipped_rules_refer_and_are_named(name):
    product = read_product(name)
    assert {"affordability", "income_known"} <= {r.name for r in product.policy_rules}
    assert all(r.then == "refer" and r.reason.en and r.reason.fr for r in product.policy_rules)
    assert product.referral.band > 0
    assert product.policy_version.startswith("policy-")


def test_credit_that_income_cannot_pay_for_is_referred():
    """50,000 EUR over 6 months on 1,200 EUR a month."""
    application = {
        "loan_amount": 50_000,
        "loan_term_months": 6,
        "monthly_income": 1_200,
        "monthly_expenses": 400,
    }
    [rule] = [r for r in read_product("consumer_credit").policy_rules if r.name == "affordability"]
    assert rule.holds(application)
    assert not rule.holds({**application, "loan_amount": 4_000})


@pytest.mark.parametrize(
    ("referral", "near"),
    [
        (Referral(band=0.0201), [0.48, 0.5, 0.52]),
        (Referral(), []),
    ],
)
def test_probability_is_near_within_the_band(referral, near):
    some = [0.4, 0.479, 0.48, 0.5, 0.52, 0.521, 0.6]
    assert [p for p in some if referral.is_near(p, 0.5)] == near


def test_referral_bounds_the_tries_that_it_looks_at():
    assert Referral(tries=MAX_TRIES).tries == MAX_TRIES
    for tries in (0, MAX_TRIES + 1):
        with pytest.raises(ValidationError):
            Referral(tries=tries)


def test_rules_that_a_missing_answer_keeps_are_named():
    product = read_product("consumer_credit")
    affordability, income_known = product.policy_rules
    assert not list(passing_unanswered(product.policy_rules, product.by_name))
    narrower = income_known.model_copy(update={"answers": {"home_status": "renting"}})
    for rules in ([affordability], [affordability, narrower]):
        assert list(passing_unanswered(rules, product.by_name)) == [
            ("affordability", "monthly_income")
        ]
