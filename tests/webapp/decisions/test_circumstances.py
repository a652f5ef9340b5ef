"""Tests of what decisions depend on beside the application: tries, corrections and the switch."""

from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import pytest

from ml.product.application import Submission
from webapp.decisions import service
from webapp.decisions.circumstances import MAX_HELD, Applicant, Circumstances, read_circumstances
from webapp.decisions.deciding import hold_for, write_judged
from webapp.decisions.store import DecisionStore, store
from webapp.desk.service import switch
from webapp.extensions import db
from webapp.ledger.driver import Driver
from webapp.ledger.transaction import unit_of_work
from webapp.serving.served import model

WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'"
ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def judge(app, granted, operator):
    """Judge the granted application with a reference, as one that corrects a decision, or both."""

    def new(reference=None, corrects=None):
        submission = Submission(granted, reference)
        return service.judge(submission, operator=operator, channel="desk", corrects=corrects)

    return new


@pytest.fixture
def turn(operator):
    def switch_to(referring):
        with unit_of_work() as transaction:
            switch(transaction, referring=referring, reason="a test", operator=operator)

    return switch_to


def test_tries_are_counted_when_a_decision_is_written_not_when_it_is_judged(app, judge, product):
    count = product.referral.tries
    with app.app_context():
        judged = [judge("A/1") for _ in range(count + 2)]
        bases = [service.store_decision(one).decision.basis for one in judged]
    assert bases == ["model"] * count + ["tries"] * 2


def test_tries_of_one_transaction_count_for_one_another(app, judge, product):
    count = product.referral.tries
    with app.app_context(), unit_of_work() as transaction:
        judged = [judge(reference) for _ in range(count + 1) for reference in ("A/1", None)]
        stored = write_judged(Driver.of(transaction), judged)
    assert [s.decision.basis for s in stored[::2]] == ["model"] * count + ["tries"]
    assert {s.decision.basis for s in stored[1::2]} == {"model"}


def test_only_so_many_of_several_workers_at_once_are_left_to_the_model(app, judge, product, query):
    count = product.referral.tries
    with app.app_context():
        judged = [judge("A/1") for _ in range(24)]
        workers = [DecisionStore(db.engine, lambda: model.usable) for _ in range(4)]
        with ThreadPoolExecutor(len(judged)) as threads:
            places = range(len(judged))
            stored = list(threads.map(lambda i: workers[i % 4].add(judged[i]), places))
        for worker in workers:
            worker.close()
    assert sorted(s.decision.basis for s in stored) == ["model"] * count + ["tries"] * (
        len(judged) - count
    )
    assert query("SELECT count(*) FROM decisions WHERE decision = 'granted'") == [(count,)]


def test_corrections_of_the_same_decision_count_for_one_another(app, judge, product):
    count, bases = product.referral.tries, []
    with app.app_context():
        first = service.store_decision(judge()).decision.id
        for _ in range(count + 1):
            bases.append(service.store_decision(judge(corrects=first)).decision.basis)
    assert bases == ["model"] * (count - 1) + ["tries"] * 2


@pytest.mark.parametrize("reference", [None, "B/2"])
def test_correction_counts_the_tries_on_the_reference_before(app, judge, product, reference):
    with app.app_context():
        for _ in range(product.referral.tries):
            last = service.store_decision(judge("A/1")).decision.id
        corrected = service.store_decision(judge(reference, corrects=last)).decision
        other = service.store_decision(judge(reference)).decision
    assert (corrected.decision, corrected.basis) == ("referred", "tries")
    assert other.basis == "model"


def test_switch_counts_when_a_decision_is_written(app, judge, turn):
    with app.app_context():
        before, after = judge(), judge()
        turn(True)
        assert service.store_decision(before).decision.basis == "switch"
        turn(False)
        assert service.store_decision(after).decision.basis == "model"


@ON_POSTGRESQL
def test_switch_waits_for_decisions_that_are_being_written(app, judge, turn, query, until):
    def turn_on():
        with app.app_context():
            turn(True)

    switching = Thread(target=turn_on)
    with app.app_context():
        with unit_of_work() as transaction:
            judged, driver = [judge()], Driver.of(transaction)
            hold_for(driver, judged)
            switching.start()
            until(lambda: query(WAITS)[0][0])
            [stored] = write_judged(driver, judged)
        switching.join()
    assert stored.decision.basis == "model"
    [(moment,)] = query("SELECT created_at FROM desk_switches")
    assert moment > stored.decision.created_at


@ON_POSTGRESQL
def test_large_batch_holds_only_the_switch(app, judge, query):
    locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    with app.app_context():
        for count, held in ((MAX_HELD, MAX_HELD + 1), (MAX_HELD + 1, 1)):
            one = judge()
            many = [
                one._replace(submission=one.submission._replace(reference=f"A/{i}"))
                for i in range(count)
            ]
            with unit_of_work() as transaction:
                hold_for(Driver.of(transaction), many)
                assert query(locks) == [(held,)]


def test_circumstances_without_anything_before(app, product):
    applicants = [Applicant("A/1"), Applicant(None), Applicant("A/1"), Applicant("B/2")]
    with app.app_context():
        found = read_circumstances(store().reader, applicants, product.referral)
    assert found == [Circumstances(referring=False, tries=tries) for tries in (0, 0, 1, 0)]
