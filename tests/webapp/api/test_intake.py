"""Tests of webapp/api/intake.py: requests that are decided together, and what is left to Flask."""

import json
import socket

import pytest
from sqlalchemy.exc import OperationalError

from webapp.api.intake import SOCKET, ForFlask
from webapp.api.messages import PATH, Request, Response
from webapp.failures import InFlight, InvalidKey, NotStored, OutcomeUnknown
from webapp.ledger.driver import WritingDriver


@pytest.fixture
def intake(app):
    return app.extensions["intake"]


@pytest.fixture
def request_of(api_key, granted):
    """Return a function that makes a request of an application."""

    def make(application=granted, **headers):
        usual = {"content-type": "application/json", "authorization": f"Bearer {api_key}"}
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return Request(usual | given, json.dumps(application).encode())

    return make


@pytest.fixture
def sock():
    with socket.socket() as made:
        yield made


@pytest.fixture
def post(client, request_of, sock):
    """Return a function that sends a request on one connection."""

    def send():
        headers, body = request_of()
        on = {SOCKET: sock}
        return client.post(PATH, data=body, headers=headers, environ_overrides=on)

    return send


def test_answers_together(intake, request_of, refused, query):
    requests = [request_of(), request_of(refused, accept_language="fr"), request_of({})]
    granting, refusing, invalid = intake.answer_together([intake.read(r) for r in requests])
    assert isinstance(invalid, Exception)
    for response, decision in ((granting, "granted"), (refusing, "refused")):
        assert isinstance(response, Response)
        answer, headers = json.loads(response.body), dict(response.headers)
        assert answer["decision"] == decision
        assert headers["Location"] == f"/api/v1/decisions/{answer['id']}"
        assert headers["Content-Length"] == str(len(response.body))
        assert headers["Cache-Control"] == "no-store"
    decided = query("SELECT decision FROM decisions ORDER BY id")
    assert [decision for (decision,) in decided] == ["granted", "refused"]


@pytest.mark.parametrize(
    "headers",
    [
        {"content_type": "text/plain"},
        {"content_type": "application/json; charset=latin-1"},
        {"cookie": "session=x"},
        {"content_encoding": "gzip"},
    ],
)
def test_unusual_request_is_for_flask(intake, request_of, headers):
    with pytest.raises(ForFlask):
        intake.read(request_of(**headers))


def test_request_with_a_bad_idempotency_key_is_for_flask(intake, request_of):
    with pytest.raises(InvalidKey):
        intake.read(request_of(idempotency_key="a b"))


def test_error_is_the_answer_and_nothing_is_decided_again(
    intake, request_of, sock, post, query, monkeypatch
):
    def fail(driver):
        driver.rollback()
        raise OperationalError("COMMIT", None, Exception("lost"))

    with monkeypatch.context() as patched:
        patched.setattr(WritingDriver, "commit", fail)
        [failure] = intake.answer_together([intake.read(request_of())])
    assert isinstance(failure, OutcomeUnknown)
    intake.leave_to_flask(sock, failure)

    answer = post()
    assert answer.status_code == 503
    assert "may have been stored" in answer.json["detail"]
    assert not query("SELECT id FROM decisions")
    assert post().status_code == 201  # the next request of the connection


@pytest.mark.parametrize(
    ("failure", "status"), [(NotStored("full"), 503), (InFlight("same key"), 201)]
)
def test_request_is_decided_again_unless_it_was_refused(intake, post, sock, failure, status):
    intake.leave_to_flask(sock, failure)
    assert post().status_code == status
