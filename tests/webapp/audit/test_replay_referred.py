"""Tests that replay computes basis, policy and causes again, and names each that was changed."""

import json
import re

import pytest

from webapp.desk.service import switch
from webapp.ledger.transaction import unit_of_work

UNKNOWN = {"monthly_income": None}
CHANGED = {
    "basis = 'unusual'": "basis stored 'unusual', computed 'policy'",
    "policy = 'policy-00000000'": "policy stored 'policy-00000000', computed 'policy-[0-9a-f]{8}'",
    "decision = 'refused'": "decision stored 'refused', computed 'referred'",
    "causes = '[]'": r"causes stored \[\], computed \[\{.*",
    "causes = '[7]'": r"causes\.1 stored 7, computed \{.*",
}


@pytest.fixture
def replay(app):
    def run(*arguments):
        done = app.test_cli_runner().invoke(args=["replay", *arguments])
        assert done.stderr == ""
        return done.exit_code, done.stdout.splitlines()

    return run


@pytest.fixture
def decided(app, take, granted, refused, typical, product, operator):
    """Decisions of every basis that this product has, by their basis."""
    far = product.by_name["assets"].maximum
    with app.app_context():
        made = [
            take(granted, operator=operator),
            take(refused, operator=operator),
            take({**granted, **UNKNOWN}, operator=operator),
            take({**typical, "assets": far, "outstanding_debt": 0}, operator=operator),
            *(
                take(granted, operator=operator, reference="A/1")
                for _ in range(product.referral.tries + 1)
            ),
        ]
        with unit_of_work() as transaction:
            switch(transaction, referring=True, reason="a test", operator=operator)
        made += [take(application, operator=operator) for application in (granted, refused)]
    return {decision.basis: decision.id for decision in made}


def test_decisions_of_every_basis_match(decided, replay):
    assert {"model", "policy", "unusual", "tries", "switch"} <= decided.keys()
    code, [line] = replay()
    assert code == 0
    assert line.endswith(" match, 0 do not")


@pytest.mark.parametrize(("assignment", "pattern"), CHANGED.items())
def test_what_a_rule_has_decided_is_computed_again(
    app, take, granted, operator, replay, tamper, assignment, pattern
):
    with app.app_context():
        number = take({**granted, **UNKNOWN}, operator=operator).id
    tamper(assignment, number)
    code, [line, _] = replay()
    assert code == 1
    assert re.fullmatch(f"decision {number}: {pattern}", line), line


def test_text_of_a_cause_that_was_changed_is_named(decided, replay, tamper, query):
    number = decided["tries"]
    [(text,)] = query(
        f"SELECT CAST(causes AS TEXT) FROM decision_contents WHERE decision_id = {number}"
    )
    [cause] = json.loads(text)
    cause["text"]["fr"] = "Autre"
    tamper(f"causes = '{json.dumps([cause])}'", number)
    code, [line, _] = replay()
    assert code == 1
    assert line.startswith(f"decision {number}: causes.1.text.fr stored 'Autre', computed ")
