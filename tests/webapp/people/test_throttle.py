"""Tests of the limits of wrong sign-ins: by account and address, in several processes."""

import os
import re
from datetime import timedelta

import argon2.low_level
import pytest

from tests.fixtures.databases import CLERK, PASSWORD, add_user
from tests.fixtures.desk import token
from webapp.ledger.transaction import unit_of_work
from webapp.people import throttle
from webapp.people.throttle import MAX_OF_ACCOUNT, MAX_OF_ADDRESS, WINDOW

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
PROCESSES = 3
# Each process tries more often than all of them may, and prints how many tries were counted.
TRY = """
from webapp import create_app
from webapp.ledger.transaction import unit_of_work
from webapp.people import throttle

app = create_app()
counted = 0
with app.app_context():
    for number in range({times}):
        limits = throttle.of_account("clerk"), throttle.of_address(f"192.0.2.{{number}}")
        with unit_of_work() as transaction:
            counted += not throttle.count_try(transaction, limits).wait
print(counted)
"""


@pytest.fixture
def attempt(app):
    """Try to sign in with a new browser, from an address."""

    def send(username=CLERK, password="wrong password", *, address="192.0.2.1", app=app, **headers):
        browser = app.test_client()
        form = {"username": username, "password": password, "csrf_token": token(browser, "/login")}
        given = {"environ_base": {"REMOTE_ADDR": address}, "headers": headers}
        return browser.post("/login", data=form, **given)

    return send


@pytest.fixture
def count(app):
    """Count tries towards limits, and return the last."""

    def many(times, *limits):
        with app.app_context():
            for _ in range(times):
                with unit_of_work() as transaction:
                    tried = throttle.count_try(transaction, limits)
        return tried

    return many


@pytest.fixture
def limit_of(app):
    """Return the limit of an account or of an address."""

    def make(kind, text):
        with app.app_context():
            return getattr(throttle, f"of_{kind}")(text)

    return make


@ON_ONE
def test_account_is_refused_after_wrong_tries_and_admitted_after_the_window(
    attempt, query, config, query_at
):
    answers = [attempt(address=f"192.0.2.{i}") for i in range(MAX_OF_ACCOUNT)]
    assert {a.status_code for a in answers} == {200}
    refused = attempt(password=PASSWORD)
    assert refused.status_code == 429
    seconds = int(refused.headers["Retry-After"])
    assert 0 < seconds <= WINDOW.total_seconds()
    assert "Too many wrong attempts" in refused.text
    assert attempt("another").status_code == 200
    query_at(
        config.instance, "UPDATE sign_in_attempts SET created_at = '2026-01-01 00:00:00.000000'"
    )
    assert attempt(password=PASSWORD).status_code == 302
    assert query("SELECT count(*) FROM sign_in_attempts") == [(0,)]


def test_right_try_does_not_count(attempt):
    for _ in range(MAX_OF_ACCOUNT + 2):
        assert attempt(password=PASSWORD).status_code == 302


@ON_ONE
def test_right_try_does_not_forget_wrong_ones(attempt):
    for _ in range(MAX_OF_ACCOUNT - 1):
        attempt()
    assert attempt(password=PASSWORD).status_code == 302
    assert attempt().status_code == 200
    assert attempt(password=PASSWORD).status_code == 429


@ON_ONE
def test_refused_tries_of_known_and_unknown_names_have_the_same_answer(attempt):
    def last(name):
        for i in range(MAX_OF_ACCOUNT + 1):
            answer = attempt(name, address=f"192.0.2.{i}")
        headers = {
            k: v for k, v in answer.headers.items() if k not in ("Set-Cookie", "X-Request-ID")
        }
        text = re.sub(r'(name="csrf_token"[^>]*value=")[^"]+', r"\1", answer.text)
        return answer.status_code, headers, text

    known, unknown = last(CLERK), last("nobody")
    # The seconds run on between the two.
    assert abs(int(known[1].pop("Retry-After")) - int(unknown[1].pop("Retry-After"))) < 60
    assert known == unknown


@ON_ONE
def test_known_and_unknown_names_cost_the_same_hash(attempt, monkeypatch):
    """The time of a sign-in is that of its hash."""
    costs = []
    hash_secret, verify_secret = argon2.low_level.hash_secret, argon2.low_level.verify_secret

    def hashing(**options):
        costs.append([options[n] for n in ("memory_cost", "time_cost", "parallelism")])
        return hash_secret(**options)

    def verifying(stored, *more):
        costs.append([int(n) for n in re.search(rb"m=(\d+),t=(\d+),p=(\d+)", stored).groups()])
        return verify_secret(stored, *more)

    monkeypatch.setattr(argon2.low_level, "hash_secret", hashing)
    monkeypatch.setattr(argon2.low_level, "verify_secret", verifying)
    of = {}
    for username in (CLERK, "nobody"):
        costs.clear()
        attempt(username)
        of[username] = list(costs)
    assert of[CLERK] == of["nobody"] != []


@ON_ONE
def test_names_are_compared_as_the_form_does(app, limit_of, attempt):
    assert limit_of("account", "zoe\u0301") == limit_of("account", "zoé")
    assert limit_of("account", "zoe") != limit_of("account", "Zoe")
    with app.app_context():
        add_user("zoé", PASSWORD)
    for i in range(MAX_OF_ACCOUNT):
        attempt("zoé" if i % 2 else "zoe\u0301")
    assert attempt("zoé", PASSWORD).status_code == 429


@ON_ONE
def test_address_is_refused_whatever_the_account(count, limit_of, attempt):
    for i in range(MAX_OF_ADDRESS):
        count(1, limit_of("account", f"user {i}"), limit_of("address", "192.0.2.7"))
    assert attempt(password=PASSWORD, address="192.0.2.7").status_code == 429
    assert attempt(password=PASSWORD, address="192.0.2.8").status_code == 302


@ON_ONE
def test_addresses_of_one_ipv6_network_are_one(limit_of):
    one, other = (limit_of("address", f"2001:db8::{i}") for i in (1, 2))
    assert one == other != limit_of("address", "2001:db8:0:1::1")
    assert limit_of("address", "192.0.2.1") != limit_of("address", "192.0.2.2")
    assert limit_of("address", "").maximum == MAX_OF_ADDRESS


@ON_ONE
@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:50123", "192.0.2.1"),
        ("[2001:db8::1]:50123", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
    ],
)
def test_address_is_one_however_it_is_written(limit_of, written, address):
    assert limit_of("address", written) == limit_of("address", address)
    assert limit_of("address", "::ffff:192.0.2.2") != limit_of("address", "::ffff:192.0.2.1")


@ON_ONE
def test_address_is_the_clients_behind_a_proxy(another_app, attempt):
    with another_app(proxies=1) as behind:
        for i in range(MAX_OF_ADDRESS):
            client = {"X-Forwarded-For": f"10.0.0.1, 192.0.2.{i}"}
            assert attempt(f"user {i}", app=behind, **client).status_code == 200
        here = {"X-Forwarded-For": "192.0.2.0"}
        assert attempt(password=PASSWORD, app=behind, **here).status_code == 302
    with another_app() as direct:
        for i in range(MAX_OF_ADDRESS):
            client = {"X-Forwarded-For": f"192.0.2.{i}"}  # a header that anybody may send
            attempt(f"user {i}", app=direct, address="192.0.2.99", **client)
        assert attempt(password=PASSWORD, app=direct, address="192.0.2.99").status_code == 429


def test_refusals_are_one_entry_of_the_audit_log(count, limit_of, query):
    limits = limit_of("account", CLERK), limit_of("address", "192.0.2.1")
    assert count(MAX_OF_ACCOUNT, *limits).wait == 0
    assert count(5, *limits).wait > 0
    entries = "SELECT subject FROM audit_log WHERE event = 'sign_in.throttled'"
    assert query(entries) == [("account",)]
    stored = str(query("SELECT * FROM sign_in_attempts"))
    assert CLERK not in stored
    assert "192.0.2.1" not in stored


def test_wait_ends_with_the_oldest_try_that_counts(count, limit_of, monkeypatch):
    moments = iter([throttle.now() + timedelta(seconds=i) for i in range(MAX_OF_ACCOUNT + 1)])
    monkeypatch.setattr(throttle, "now", lambda: next(moments))
    limit = limit_of("account", CLERK)
    waited = count(MAX_OF_ACCOUNT + 1, limit).wait
    assert waited == WINDOW.total_seconds() - MAX_OF_ACCOUNT


def test_processes_at_once_cannot_try_more_often(app, config, query, forks):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("LOAN_")}
    environment = {
        **clean,
        "LOAN_INSTANCE": str(config.instance),
        "LOAN_DATABASE_URL": config.database_url,
        "LOAN_BUNDLE": str(config.bundle),
    }
    command = ["-c", TRY.format(times=MAX_OF_ACCOUNT + 2)]
    done = forks.run_at_once(*[command] * PROCESSES, environment=environment)
    assert [d.returncode for d in done] == [0] * PROCESSES, done
    assert sum(int(d.stdout) for d in done) == MAX_OF_ACCOUNT
    counted = "SELECT count(*) FROM sign_in_attempts WHERE counted"
    assert query(counted) == [(2 * MAX_OF_ACCOUNT,)]  # account and address
