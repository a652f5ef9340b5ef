"""Tests of the header Idempotency-Key: a request that is sent again decides nothing again."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import psycopg
import pytest

from tests.fixtures.databases import CLERK
from webapp.api.intake import ROUTE
from webapp.ledger import writer
from webapp.ledger.idempotency import body_digest, fingerprint, key_digest
from webapp.ledger.transaction import unit_of_work
from webapp.people import api_keys

DECISIONS = "/api/v1/decisions"
PROBLEM = "application/problem+json"
COUNT = "SELECT count(*) FROM decisions"
REPLAYED = "Idempotency-Replayed"
FRENCH = {"Accept-Language": "fr"}
ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
# Requests of two kinds: those that are decided before Flask sees them, and those that are not.
TYPES = pytest.mark.parametrize("content_type", ["application/json", "application/json; v=1"])


@pytest.fixture
def send(app, api_key):
    """Return a function that sends a body with a key, by a client of its own."""

    def post(body, key, *, api_key=api_key, content_type="application/json", **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers |= {"Authorization": f"Bearer {api_key}", "Content-Type": content_type}
        if key is not None:
            headers["Idempotency-Key"] = key
        return app.test_client().post(DECISIONS, data=data, headers=headers)

    return post


@TYPES
@pytest.mark.parametrize("which", ["granted", "refused"])
def test_same_key_and_body_get_the_same_answer(send, query, request, which, content_type):
    application = request.getfixturevalue(which)
    first = send(application, "one", content_type=content_type, **FRENCH)
    assert first.status_code == 201
    assert REPLAYED not in first.headers
    for language in ({}, FRENCH):
        again = send(application, "one", content_type=content_type, **language)
        assert again.status_code == 201
        assert again.data == first.data
        assert again.headers[REPLAYED] == "true"
        assert again.headers["Location"] == first.headers["Location"]
    assert query(COUNT) == [(1,)]
    assert query("SELECT count(*) FROM audit_log WHERE event = 'decision.made'") == [(1,)]


def test_both_ways_in_answer_the_same_bytes(send, refused):
    first = send(refused, "one")
    again = send(refused, "one", content_type="application/json; v=1")
    assert (again.data, again.headers[REPLAYED]) == (first.data, "true")


@TYPES
def test_same_key_with_another_body_is_refused(send, granted, refused, query, content_type):
    assert send(granted, "one").status_code == 201
    body = json.dumps(granted).encode()
    for other in (refused, body + b" ", b"{}", b"not JSON"):
        answer = send(other, "one", content_type=content_type)
        assert (answer.status_code, answer.content_type) == (422, PROBLEM)
        assert answer.json["type"] == "urn:loan-desk:problem:idempotency-key-reused"
    assert query(COUNT) == [(1,)]


def test_keys_are_the_operators_own(app, send, granted, query):
    with app.app_context(), unit_of_work() as transaction:
        other = api_keys.create_api_key(transaction, "another")
    answers = [send(granted, "one"), send(granted, "one", api_key=other), send(granted, "two")]
    assert [a.status_code for a in answers] == [201] * 3
    assert not any(REPLAYED in a.headers for a in answers)
    assert query(COUNT) == [(3,)]


def test_requests_without_a_key_are_decided_each(send, granted, query):
    assert [send(granted, None).status_code for _ in range(2)] == [201, 201]
    assert query(COUNT) == [(2,)]


@ON_ONE
@TYPES
@pytest.mark.parametrize(
    "key", ["", " ", '"', '""', "a b", "a,b", "ä", "x" * 256, '"a', 'a"', "a\tb", "a;b", "{}"]
)
def test_invalid_keys_are_refused(send, granted, query, key, content_type):
    answer = send(granted, key, content_type=content_type)
    assert (answer.status_code, answer.content_type) == (400, PROBLEM)
    assert answer.json["type"] == "urn:loan-desk:problem:invalid-idempotency-key"
    assert query(COUNT) == [(0,)]


@ON_ONE
def test_quotation_marks_are_not_part_of_a_key(send, granted, query):
    for key in ("8e03978e-40d5-43e8", '"8e03978e-40d5-43e8"'):
        assert send(granted, key).status_code == 201
    assert query(COUNT) == [(1,)]


@ON_ONE
def test_a_refused_body_leaves_the_key_free(send, granted, query):
    assert send({**granted, "loan_amount": 1}, "one").status_code == 422
    assert send(granted, "one").status_code == 201
    assert query(COUNT) == [(1,)]


@ON_ONE
@TYPES
def test_key_can_be_required(another_app, api_key, granted, query, content_type):
    headers = {"Authorization": f"Bearer {api_key}", "Content-Type": content_type}
    with another_app(require_idempotency_key=True) as app:
        client, body = app.test_client(), json.dumps(granted)
        answer = client.post(DECISIONS, data=body, headers=headers)
        assert answer.status_code == 400
        assert answer.json["type"] == "urn:loan-desk:problem:invalid-idempotency-key"
        assert query(COUNT) == [(0,)]
        with_key = {**headers, "Idempotency-Key": "one"}
        assert client.post(DECISIONS, data=body, headers=with_key).status_code == 201


def test_erased_decision_is_not_answered_again(send, granted, refused, query):
    assert send(granted, "one").status_code == 201
    query("DELETE FROM decision_contents")
    for application in (granted, refused):  # nothing is left to tell the two from each other
        answer = send(application, "one")
        assert (answer.status_code, answer.content_type) == (410, PROBLEM)
    assert query(COUNT) == [(1,)]


def test_fingerprint_tells_nothing_without_the_salt(send, granted, query):
    assert send(granted, "one").status_code == 201
    [(stored,)] = query("SELECT fingerprint FROM idempotency_keys")
    body = json.dumps(granted).encode()
    assert bytes(stored) != body_digest(body)
    [(salt,)] = query("SELECT salt FROM decision_contents")
    assert bytes(stored) == fingerprint(body_digest(body), bytes(salt))


def test_revoked_api_key_gets_no_earlier_answer(app, send, granted):
    assert send(granted, "one").status_code == 201
    with app.app_context(), unit_of_work() as transaction:
        api_keys.revoke_api_key(transaction, "core-banking")
    assert send(granted, "one").status_code == 401


def test_same_key_at_once_makes_one_decision(send, refused, query):
    start = Barrier(8)

    def one(_):
        start.wait(30)
        return send(refused, "one")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(8)))
    assert {a.status_code for a in answers} == {201}
    assert len({a.data for a in answers}) == 1
    assert sum(REPLAYED in a.headers for a in answers) == 7
    assert query(COUNT) == [(1,)]


def test_decision_that_was_stored_meanwhile_is_seen(send, refused, meanwhile):
    by_flask = "application/json; v=1"
    first, second = meanwhile(lambda: send(refused, "one", content_type=by_flask))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.data == second.data
    assert second.headers[REPLAYED] == "true"


@ON_POSTGRESQL  # where a transaction can wait after it has taken the first request
def test_request_in_flight_is_answered_409_after_a_while(
    app, send, granted, query, monkeypatch, hold_writes
):
    monkeypatch.setattr(writer, "PATIENCE_SECONDS", 0.2)
    assert send(granted, "before").status_code == 201
    with hold_writes(), ThreadPoolExecutor(1) as pool:
        first = pool.submit(send, granted, "one")
        hold_writes.wait()
        second = send(granted, "one")
        assert (second.status_code, second.content_type) == (409, PROBLEM)
        assert second.json["type"] == "urn:loan-desk:problem:request-in-flight"
        assert second.headers["Retry-After"]
        hold_writes.release()
        assert first.result(30).status_code == 201
    assert send(granted, "one").headers[REPLAYED] == "true"
    assert query(COUNT) == [(2,)]


@ON_POSTGRESQL
@TYPES
def test_key_that_another_process_is_storing_is_answered_409(
    app, monkeypatch, another_app, api_key, granted, config, query, content_type
):
    monkeypatch.setattr("webapp.database.PG_OPTIONS", "-c lock_timeout=200")
    headers = {"Authorization": f"Bearer {api_key}", "Content-Type": content_type}
    store = (
        "INSERT INTO idempotency_keys SELECT operator_id, %s, fingerprint, language, decision_id "
        "FROM idempotency_keys"
    )
    with another_app() as other, psycopg.connect(config.database_url) as process:
        post = partial(other.test_client().post, DECISIONS, data=json.dumps(granted))
        assert post(headers={**headers, "Idempotency-Key": "one"}).status_code == 201
        process.execute(store, [key_digest(ROUTE, "two")])
        answer = post(headers={**headers, "Idempotency-Key": "two"})
    assert (answer.status_code, answer.content_type) == (409, PROBLEM)
    assert answer.json["type"] == "urn:loan-desk:problem:request-in-flight"
    assert query(COUNT) == [(1,)]


def test_form_and_api_keys_do_not_meet(send, granted, signed_in, query, hidden, texts):
    form = {**hidden(signed_in), **texts(granted)}
    first = signed_in.post("/applications/new", data=form)
    again = signed_in.post("/applications/new", data=form)
    assert (first.status_code, first.location) == (303, again.location)
    assert send(granted, form["submission"]).status_code == 201
    assert query(COUNT) == [(2,)]
    [(name,)] = query("SELECT name FROM operators JOIN users ON users.id = operators.id")
    assert name == CLERK
