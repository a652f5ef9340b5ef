"""Tests that decisions are stored, listed and counted exactly."""

import math
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from threading import Barrier

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from ml.monitoring.bins import SCORE_BINS
from webapp.decisions import search
from webapp.decisions.store import store
from webapp.decisions.tables import DecisionRow
from webapp.failures import KeyClaimed, KeyReused
from webapp.ledger.idempotency import Claim, body_digest, key_digest
from webapp.ledger.transaction import add_row, unit_of_work
from webapp.people import api_keys
from webapp.people.operators import Operator

THREADS = 8


@pytest.fixture
def decide(app, operator, take):
    def one(application, **more):
        return take(application, **{"operator": operator, **more})

    return one


def row(number=0, **more):
    """Return the columns of an invented decision; `more` replaces some of them."""
    probability = (number % 41) / 40
    decision = "granted" if probability >= 0.5 else "refused"
    return {
        "created_at": datetime(2026, 1, 31, number % 24, 59, 59, 999_999, tzinfo=UTC),
        "channel": "desk",
        "product": "consumer_credit",
        "model": f"svc-{number % 3}",
        "probability": probability,
        "threshold": 0.5,
        "model_decision": decision,
        "decision": decision,
        "basis": "model",
        "policy": "policy-0",
        "amount": round(400 * 1.05**number),
        "novelty": 0.5,
        **more,
    }


def claim(operator, *, key="a", sent=b"sent"):
    return Claim(operator.id, key_digest("route", key), body_digest(sent), "en")


def hour(moment):
    """Return the hour of SQLite's text or of PostgreSQL's datetime."""
    return str(moment)[:13]


def bin_of(probability):
    return max(math.ceil(probability * SCORE_BINS) - 1, 0)


def band(amount):
    lows = [0, *(m * 10**e for e in range(3, 7) for m in (1, 2, 5))]
    return max(low for low in lows if low <= amount)


def counted(query):
    """Return the stored counts, and the counts that the test computes from the decisions."""
    stored, expected = Counter(), Counter()
    for when, *kind, n in query(
        "SELECT hour, product, model, channel, decision, basis, amount_from, score_bin, count "
        "FROM decision_counts"
    ):
        stored[hour(when), *kind] += n
    for when, *kind, amount, probability in query(
        "SELECT created_at, product, model, channel, decision, basis, amount, probability "
        "FROM decisions"
    ):
        expected[hour(when), *kind, band(amount), bin_of(probability)] += 1
    return stored, expected


def test_decision_is_stored_before_it_is_returned(app, decide, granted, query, bundle):
    with app.app_context():
        number = decide(granted).id
        rows = query("SELECT id, probability FROM decisions")
    assert rows == [(number, bundle.scorer.score(granted).probability)]


def test_decide_keeps_inputs_in_the_products_order(app, decide, granted, product):
    with app.app_context():
        number = decide(granted).id
        decision, contents = search.find_decision(number)
        assert list(contents.inputs) == [f.name for f in product.inputs]
        assert contents.inputs == granted
        assert decision.created_at.utcoffset().total_seconds() == 0


def test_decide_same_claim(app, decide, granted, refused, query, api_key, operator):
    key = api_keys.operator_of_key
    with app.app_context():
        first = decide(granted, claim=claim(operator)).id
        with pytest.raises(KeyClaimed):
            decide(granted, claim=claim(operator))
        assert store().find_use(claim(operator)).number == first
        with pytest.raises(KeyReused):
            store().find_use(claim(operator, sent=b"another"))
        other = key(api_key)
        others = [
            decide(granted, claim=claim(operator, key="b")).id,
            decide(granted, claim=None).id,
            decide(granted, claim=None).id,
            decide(granted, operator=other, channel="api", claim=claim(other)).id,
        ]
    assert len({first, *others}) == len(others) + 1
    assert query("SELECT count(*) FROM decisions") == [(len(others) + 1,)]


def test_decide_unknown_operator_stores_nothing(app, decide, granted, query):
    with app.app_context():
        with pytest.raises(IntegrityError):
            decide(granted, operator=Operator("user", 4711, "nobody"))
        assert decide(granted).id  # the session is usable after it
    assert query("SELECT count(*) FROM decisions") == [(1,)]


def test_decide_key_of_an_unknown_operator_is_not_in_use(app, decide, granted, query):
    nobody = Operator("user", 4711, "nobody")
    with app.app_context(), pytest.raises(IntegrityError):
        decide(granted, claim=claim(nobody))
    assert query("SELECT count(*) FROM decisions") == [(0,)]


def test_counts_equal_the_table(app, decide, applications, operator, query):
    with app.app_context():
        with unit_of_work() as transaction:
            key = api_keys.create_api_key(transaction, "another")
        key = api_keys.operator_of_key(key)
        for i, application in enumerate(applications[:20]):
            if i % 3:
                decide(application)
            else:
                decide(application, operator=key, channel="api")
        many = [row(i, operator_id=operator.id) for i in range(250)]
        decisions = DecisionRow.__table__
        with unit_of_work() as transaction:
            transaction.execute(insert(decisions), many)
            again = [dict(r, model="all at once") for r in many[:90]]
            transaction.execute(insert(decisions).values(again))
            for one in many[:40]:
                add_row(transaction, DecisionRow, **one)
        with suppress(ZeroDivisionError), unit_of_work() as transaction:
            transaction.execute(insert(decisions), many[:50])
            raise ZeroDivisionError
        totals = search.count_decisions()
    stored, expected = counted(query)
    assert stored == expected
    assert len({amount for *_, amount, _ in stored}) == 13
    assert {score_bin for *_, score_bin in stored} == set(range(SCORE_BINS))
    assert sum(r.total for r in totals) == query("SELECT count(*) FROM decisions")[0][0] == 400
    assert {r.decision for r in totals} == {"granted", "refused", "referred"}


def test_counts_equal_the_table_after_threads(app, applications, query, operator, take):
    start = Barrier(THREADS)

    def work(i):
        start.wait(30)
        with app.app_context():
            for application in applications[i::THREADS]:
                take(application, operator=operator)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))
    stored, expected = counted(query)
    assert stored == expected
    assert query("SELECT count(*) FROM decisions") == [(len(applications),)]
