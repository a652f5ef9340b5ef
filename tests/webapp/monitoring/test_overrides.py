"""Tests of what people disagree with the model on: directions, reasons, causes, who was right."""

import json
from datetime import date, timedelta

import pytest

from tests.fixtures.databases import PASSWORD, add_user
from webapp.columns import now
from webapp.ledger.transaction import unit_of_work
from webapp.monitoring.reporting.overrides import Loans, Share, overrides, overrides_line
from webapp.people.operators import Operator
from webapp.reviews import service
from webapp.reviews.closing import NewClosing, close_review

TODAY = now().date()
LATER = TODAY + timedelta(days=2)  # also if the tests run on past midnight
PERIOD = {"first": TODAY, "before": LATER, "ripe": LATER}
REFERRED = {"decision": "referred", "basis": "unusual"}


@pytest.fixture
def reviewed(app, put, refused, query, operator):
    """Put a decision that a reviewer reviews, whose loan may have an outcome."""
    with app.app_context():
        for name in ("anna", "boris"):
            add_user(name, PASSWORD, ["reviewer"])
    ids = dict(query("SELECT name, id FROM operators"))

    def make(final, *, by="anna", cause="staff", code="other", outcome=None, **columns):
        reviewer = Operator("user", ids[by], by)
        number = put(refused, **columns)
        with app.app_context(), unit_of_work() as t:
            review = service.open_review(t, number, cause=cause, operator=operator)
            service.claim(t, review, reviewer=reviewer)
            close_review(t, review, NewClosing(final, code, "Seen."), reviewer=reviewer)
        if outcome:
            query(
                "INSERT INTO outcomes (id, created_at, decision_id, number, operator_id, outcome, "
                f"known_on) SELECT id, created_at, id, 1, operator_id, '{outcome}', '{TODAY}' "
                f"FROM decisions WHERE id = {number}"
            )
        return number

    make.anna = Operator("user", ids["anna"], "anna")
    return make


@pytest.fixture
def some(reviewed):
    """Six words, of which three are against the model, and one review that lapsed."""
    reviewed("granted", code="documents_seen", outcome="good")
    reviewed("granted", code="documents_seen", by="boris", cause="applicant", outcome="bad")
    reviewed("refused", probability=0.9, code="affordability", **REFERRED)
    reviewed("granted", probability=0.9, by="boris", outcome="good", **REFERRED)
    reviewed("granted", probability=0.8, decision="refused", basis="policy")
    reviewed("refused")
    reviewed("lapsed", code="withdrawn")


def test_words_by_direction_reason_cause_and_reviewer(app, some):
    with app.app_context():
        found = overrides(**PERIOD)
    assert (found.against.count, found.against.total, found.lapsed, found.policy) == (3, 6, 1, 1)
    assert found.table == {
        ("refused", "granted"): 2,
        ("granted", "refused"): 1,
        ("granted", "granted"): 2,
        ("refused", "refused"): 1,
    }
    assert found.codes("granted") == [("documents_seen", 2)]
    assert found.codes("refused") == [("affordability", 1)]
    assert found.by(lambda w: w.cause) == [Share("applicant", 1, 1), Share("staff", 2, 5)]
    assert found.by(lambda w: w.reviewer) == [Share("anna", 2, 4), Share("boris", 1, 2)]
    assert found.against.few
    assert overrides_line(found) == (
        "6 reviews closed, 3 against the model (50.0%; 18.8% to 81.2%): 2 granted, 1 refused"
    )


def test_a_refusal_by_a_rule_is_overturned_also_while_everything_is_referred(app, reviewed):
    rule = {"cause": "rule", "name": "r", "then": "refuse", "text": {"en": "No", "fr": "Non"}}
    columns = {"decision": "referred", "basis": "policy", "causes": [rule], "probability": 0.9}
    reviewed("granted", **columns)
    reviewed("refused", **columns)
    with app.app_context():
        found = overrides(**PERIOD)
    assert (found.policy, found.against.count) == (1, 1)


def test_what_came_of_the_loans_that_people_granted(app, some, bundle):
    with app.app_context():
        found = overrides(**PERIOD)
    against, agreed = found.loans(against=True), found.loans(against=False)
    assert against == Loans(2, 2, Share("", 1, 2), 0.25, bundle.threshold)
    assert agreed == Loans(2, 2, Share("", 1, 1), 0.9, bundle.threshold)
    assert against.right == "unknown"
    with app.app_context():
        early = overrides(**{**PERIOD, "ripe": TODAY}).loans(against=True)
    assert (early.granted, early.ripe, early.good.total) == (2, 0, 0)


@pytest.mark.parametrize(
    ("good", "known", "right"), [(40, 50, "people"), (10, 50, "model"), (27, 50, "unknown")]
)
def test_who_was_right_is_said_only_if_the_interval_says_so(good, known, right):
    assert Loans(60, 55, Share("", good, known), 0.3, 0.5).right == right


def test_only_the_last_word_in_the_period_counts(app, reviewed, put, query, operator, some):
    [(number,)] = query("SELECT min(decision_id) FROM reviews")
    with app.app_context(), unit_of_work() as t:
        again = service.open_review(t, number, cause="staff", operator=operator)
        service.claim(t, again, reviewer=reviewed.anna)
        new = NewClosing("granted", "confirmed", "")
        close_review(t, again, new, reviewer=reviewed.anna)
    with app.app_context():
        assert overrides(**PERIOD).against.total == 6
        earlier = overrides(first=date(2020, 1, 1), before=TODAY, ripe=TODAY)
        assert (earlier.words, earlier.lapsed) == ([], 0)
        assert overrides_line(earlier) == "no review has been closed with a final word"
        assert overrides(**PERIOD, product="p").words == []


def test_page_says_how_little_a_few_reviews_say(app, client, sign_in, signed_in, some):
    page = signed_in.get("/monitoring/overrides").text
    for text in (
        "3 of 6 reviews went against the model: 50.0%.",
        "With fewer than 30 reviews, a share says little.",
        "Additional documents seen",
        "2 loans; it is too early to say what came of them.",
        "One refusal by a policy rule was overturned.",
        "boris",
    ):
        assert text in page, text
    anna = sign_in(app.test_client(), "anna").get("/monitoring/overrides").text
    assert "By reviewer" in anna
    assert "boris" not in anna
    empty = signed_in.get("/monitoring/overrides?from=2020-01-01&to=2020-12-31").text
    assert "No review was closed with a final word in this period." in empty
    for query in ("from=x&to=9999-12-31", f"from={TODAY}&to=2020-01-01"):
        assert signed_in.get(f"/monitoring/overrides?{query}").status_code == 200


def test_page_says_what_came_of_loans_that_are_old_enough(signed_in, reviewed):
    reviewed("granted", outcome="good", created_at=now() - timedelta(days=400))
    page = signed_in.get("/monitoring/overrides").text
    assert "Loans: 1. At least 365 days old: 1. Of these, with a known outcome: 1. Good: 1" in page
    assert "Too few outcomes are known to say who was right." in page


def test_report_and_metrics_tell_of_reviews(
    app, client, signed_in, some, reviewed, put, refused, operator
):
    numbers = [put(refused), put(refused)]
    with app.app_context(), unit_of_work() as t:
        first, _ = (service.open_review(t, n, cause="staff", operator=operator) for n in numbers)
        service.set_due(t, first, due_on=TODAY - timedelta(days=2), reviewer=reviewed.anna)
    metrics = client.get("/metrics").text
    assert "loan_reviews_open 2.0" in metrics
    assert "loan_reviews_overdue 1.0" in metrics
    done = app.test_cli_runner().invoke(args=["monitor", "report", "--json"])
    shown = json.loads(done.stdout)["overrides"]
    assert shown["reviews"] == 0  # the decisions here are of another model
    assert "No review has been closed in this time." in signed_in.get("/monitoring").text
