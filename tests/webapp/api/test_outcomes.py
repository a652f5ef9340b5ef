"""Tests of the API of outcomes."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest

from webapp.columns import now

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
PROBLEM = "application/problem+json"
REPLAYED = "Idempotency-Replayed"


@pytest.fixture
def today(config):
    return now().astimezone(config.timezone).date().isoformat()


@pytest.fixture
def loan(post, granted):
    """The number of a granted loan."""
    return post(granted).json["id"]


@pytest.fixture
def send(app, api_key, loan):
    """Post an outcome, by default of the loan, by a client of its own."""

    def request(body, *, number=loan, key=None, content_type="application/json", **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers |= {"Authorization": f"Bearer {api_key}", "Content-Type": content_type}
        if key is not None:
            headers["Idempotency-Key"] = key
        address = f"/api/v1/decisions/{number}/outcome"
        return app.test_client().post(address, data=data, headers=headers)

    return request


@pytest.fixture
def show(client, api_key, loan):
    headers = {"Authorization": f"Bearer {api_key}"}
    return lambda number=loan: client.get(f"/api/v1/decisions/{number}/outcome", headers=headers)


def errors(answer):
    assert (answer.status_code, answer.content_type) == (422, PROBLEM)
    assert answer.json["type"] == "urn:loan-desk:problem:invalid-outcome"
    assert all(e["pointer"] == f"/{e['field']}" and e["detail"] for e in answer.json["errors"])
    return [(e["field"], e["code"]) for e in answer.json["errors"]]


def test_outcome_is_recorded_corrected_and_shown(send, show, loan, today):
    assert show().json == {"decision_id": loan, "outcome": None, "history": []}
    first = send({"outcome": "good", "date": today})
    assert first.status_code == 200
    assert first.json["created_at"]
    assert {k: v for k, v in first.json.items() if k != "created_at"} == {
        "decision_id": loan,
        "outcome": "good",
        "date": today,
        "reason": None,
        "number": 1,
        "operator": "core-banking",
    }
    assert send({"outcome": "good", "date": today}).json == first.json
    second = send({"outcome": "bad", "date": today, "reason": "changed"})
    assert (second.status_code, second.json["number"]) == (200, 2)
    assert show().json == {
        "decision_id": loan,
        "outcome": second.json,
        "history": [second.json, first.json],
    }


def test_invalid_outcomes_are_refused(send, query, today, loan):
    tomorrow = (now() + timedelta(days=2)).date().isoformat()
    good = {"outcome": "good", "date": today}
    for body, found in (
        ({}, [("outcome", "outcome"), ("date", "date")]),
        (good | {"outcome": "fair"}, [("outcome", "outcome")]),
        (good | {"outcome": 1, "date": 5}, [("outcome", "outcome"), ("date", "date")]),
        (good | {"date": f"{today}T00:00:00"}, [("date", "date")]),
        (good | {"date": "20260101"}, [("date", "date")]),
        (good | {"date": "2026-02-30"}, [("date", "date")]),
        (good | {"date": "1999-01-01"}, [("date", "early")]),
        (good | {"date": tomorrow}, [("date", "future")]),
        (good | {"reason": "whim"}, [("reason", "reason")]),
        (good | {"reason": "mistake"}, [("reason", "first")]),
        (good | {"note": "x"}, [("note", "unknown")]),
    ):
        assert errors(send(body)) == found, body
    twice = f'{{"outcome": "bad", "outcome": "good", "date": "{today}"}}'
    assert errors(send(twice.encode())) == [("outcome", "repeated")]
    for body in (b"", b"[]", b"{", b"\xff", b'"x"'):
        assert send(body).status_code == 400
    assert send({}, content_type="text/plain").status_code == 415
    assert query("SELECT count(*) FROM outcomes") == [(0,)]


def test_only_granted_loans_have_an_outcome(send, show, post, refused, query, today):
    number = post(refused).json["id"]
    assert errors(send({"outcome": "good", "date": today}, number=number)) == [
        ("outcome", "refused")
    ]
    assert show(number).json["outcome"] is None
    for unknown in (0, 999, 2**63 - 1):
        assert send({"outcome": "good", "date": today}, number=unknown).status_code == 404
        assert show(unknown).status_code == 404
    assert query("SELECT count(*) FROM outcomes") == [(0,)]


def test_same_key_gets_the_same_answer(send, post, granted, query, today):
    good = {"outcome": "good", "date": today}
    first = send(good, key="k")
    assert (first.status_code, REPLAYED in first.headers) == (200, False)
    assert send({"outcome": "bad", "date": today, "reason": "mistake"}, key="k2").status_code == 200
    again = send(good, key="k")
    assert (again.status_code, again.data) == (200, first.data)
    assert again.headers[REPLAYED] == "true"
    reused = send({"outcome": "bad", "date": today}, key="k")
    assert reused.status_code == 422
    assert reused.json["type"].endswith("idempotency-key-reused")
    other = post(granted).json["id"]  # a key belongs to an address
    assert send(good, key="k", number=other).json["decision_id"] == other
    assert query("SELECT decision_id, outcome_id FROM idempotency_keys ORDER BY outcome_id") == [
        (None, 1),
        (None, 2),
        (None, 3),
    ]


def test_outcome_that_is_known_uses_up_a_key_too(send, today):
    good = {"outcome": "good", "date": today}
    first = send(good)
    assert send(good, key="k").data == first.data
    send({"outcome": "bad", "date": today, "reason": "changed"})
    again = send(good, key="k")
    assert (again.data, again.headers[REPLAYED]) == (first.data, "true")


def test_same_key_at_the_same_moment_records_once(send, query, today):
    start = Barrier(8)

    def ask(_):
        start.wait()
        return send({"outcome": "good", "date": today}, key="k")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.data for answer in answers}) == 1
    assert query("SELECT count(*) FROM outcomes") == [(1,)]
    assert query("SELECT count(*) FROM idempotency_keys") == [(1,)]


def test_outcome_that_was_recorded_meanwhile_is_seen(send, today, meanwhile):
    good = {"outcome": "good", "date": today}
    first, second = meanwhile(lambda: send(good, key="k"))
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.data == second.data
    assert second.headers[REPLAYED] == "true"


@ON_ONE
def test_keys_can_be_required(another_app, api_key, loan, today):
    headers = {"Authorization": f"Bearer {api_key}"}
    with another_app(require_idempotency_key=True) as app:
        address = f"/api/v1/decisions/{loan}/outcome"
        body = {"outcome": "good", "date": today}
        refused = app.test_client().post(address, json=body, headers=headers)
        assert refused.status_code == 400
        assert refused.json["type"].endswith("invalid-idempotency-key")


@ON_ONE
def test_api_key_is_needed(client, loan, today):
    address = f"/api/v1/decisions/{loan}/outcome"
    assert client.post(address, json={"outcome": "good", "date": today}).status_code == 401
    assert client.get(address).status_code == 401


@ON_ONE
def test_damaged_outcome(send, show, tamper, today):
    send({"outcome": "good", "date": today}, key="k")
    tamper("known_on = 'never'", 1, table="outcomes")
    for answer in (show(), send({"outcome": "good", "date": today}, key="k")):
        assert answer.status_code == 409
        assert answer.json["columns"] == ["known_on"]
