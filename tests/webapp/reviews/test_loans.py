"""Tests of which loans have outcomes after a review, and for which of them the model answers."""

from collections import Counter

import pytest

from webapp.columns import now
from webapp.failures import InvalidOutcome
from webapp.monitoring.days import Model
from webapp.monitoring.realised import changed_periods, compare_period
from webapp.monitoring.reporting.outcomes import outcomes as reported
from webapp.outcomes import importing, service as outcomes
from webapp.outcomes.files import read_file
from webapp.outcomes.records import NewOutcome
from webapp.reviews import service
from webapp.reviews.closing import NewClosing, close_review
from webapp.reviews.counting import net_granted

MODEL = "svc_linear-00000000"
REFERRED = {"decision": "referred", "basis": "policy"}


@pytest.fixture
def reviewed(put, refused, do, people):
    """Put a decision, and let a review close with a word; return the decision's number."""

    def make(final, **columns):
        number = put(refused, **columns)
        review = do(service.open_review, number, cause="staff", operator=people["clerk"])
        do(service.claim, review, reviewer=people["anna"])
        new = NewClosing(final, "other", "Seen.")
        do(close_review, review, new, reviewer=people["anna"])
        return number

    return make


@pytest.fixture
def record(do, people, config):
    def act(number, outcome="good"):
        new = NewOutcome(number, outcome, now().astimezone(config.timezone).date())
        return do(outcomes.record_outcome, new, operator=people["clerk"], zone=config.timezone)

    return act


def test_only_a_finally_granted_loan_has_an_outcome(reviewed, record, put, refused):
    for number in (
        reviewed("granted"),
        reviewed("granted", probability=0.9, decision="refused", basis="policy"),
        reviewed("granted", probability=0.9, **REFERRED),
    ):
        assert record(number).good
    for number, code in (
        (reviewed("refused", probability=0.9), "refused"),
        (reviewed("refused", probability=0.9, **REFERRED), "refused"),
        (put(refused, probability=0.9, **REFERRED), "in_review"),
    ):
        with pytest.raises(InvalidOutcome) as error:
            record(number)
        assert [(e.field, e.code) for e in error.value.errors] == [("outcome", code)]


def test_a_reference_finds_the_loan_that_a_review_granted(
    reviewed, put, refused, do, people, config, query
):
    put(refused, reference="A/1")
    granted = reviewed("granted", reference="A/1")
    day = now().astimezone(config.timezone).date().isoformat()
    file = read_file(f"reference,outcome,date\nA/1,bad,{day}\n".encode())
    more = {"operator": people["clerk"], "zone": config.timezone}
    assert do(importing.import_file, file, **more) == importing.Imported(1, 0, [])
    assert do(importing.import_file, file, **more).known == 1
    assert query("SELECT decision_id, outcome FROM outcomes") == [(granted, "bad")]


def test_reviews_change_how_many_loans_are_granted(app, reviewed, put, refused):
    reviewed("granted")
    reviewed("granted", probability=0.9, **REFERRED)
    reviewed("refused", probability=0.9)
    reviewed("refused")
    put(refused, probability=0.9)
    with app.app_context():
        assert Counter(number for _, number in net_granted()) == {1: 2, -1: 1}


def test_the_model_answers_only_for_loans_that_it_would_grant(
    app, reviewed, record, put, refused, bundle, query
):
    """A loan that a person granted against it is in no figure of its performance."""
    against = reviewed("granted")
    own = put(refused, probability=0.9)
    referred = reviewed("granted", probability=0.8, **REFERRED)
    reviewed("refused", probability=0.9)
    record(against, "bad")
    for number in (own, referred):
        record(number)
    assert query("SELECT model_decision, outcome, count FROM outcome_counts ORDER BY 1, 3") == [
        ("granted", "good", 1),
        ("granted", "good", 1),
        ("refused", "bad", 1),
    ]
    today = now().date()
    with app.app_context():
        [changed] = changed_periods(ripe=today)
        [month] = compare_period(changed, ripe=today).months
        assert (month["outcomes"], month["good"]) == (2, 2)
        assert month["expected"] == pytest.approx(1.7)
        model = Model(bundle.product.name, MODEL)
        bands = reported(model, cost_ratio=5.0, today=today).bands
    assert [(band.outcomes, band.bad) for band in bands] == [(1, 0), (1, 0)]
