"""Tests of the answers when the database fails before, during or after a commit."""

import json
import re
import resource
from contextlib import closing, contextmanager

import pytest

from webapp.database import sqlite_module

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
CHANNELS = pytest.mark.parametrize("channel", ["api", "desk"])
STORED = "SELECT count(*) - 1 FROM decisions"  # but for the one that the fixture makes
NOT_STORED = "Nothing was stored"
MAYBE = "may have been stored"


@pytest.fixture
def unfinished():
    """Functions to call, each once, at the end of a request."""
    return []


@pytest.fixture
def desk(another_app, proxied_url, unfinished):
    """The application, which reaches its database through the proxy."""
    with another_app(database_url=proxied_url) as app:

        @app.after_request
        def finish(response):
            if unfinished:
                unfinished.pop()()
            return response

        yield app


@pytest.fixture
def prepare(desk, api_key, granted, sign_in, hidden, texts):
    """Return a function that sends an application through the API or the form.

    One decision has been made already, so the audit log has the activation of the model.
    """

    def by(channel, *, content_type="application/json"):
        browser = desk.test_client()
        headers = {"Authorization": f"Bearer {api_key}", "Content-Type": content_type}
        body = json.dumps(granted)

        def post():
            return browser.post("/api/v1/decisions", data=body, headers=headers)

        assert post().status_code == 201
        if channel == "api":
            return post
        form = {**hidden(sign_in(browser)), **texts(granted)}
        return lambda: browser.post("/applications/new", data=form)

    return by


@pytest.fixture
def failing_insert(config, query):
    """Make every insert fail as if the connection were lost, or the file locked."""

    @contextmanager
    def fail():
        if config.database_url:
            query(
                "CREATE FUNCTION end_me() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$"
            )
            on = "BEFORE INSERT ON decision_contents FOR EACH ROW EXECUTE FUNCTION end_me()"
            query(f"CREATE TRIGGER fail {on}")
            yield
            query("DROP FUNCTION end_me CASCADE")
            return
        file = config.instance / "loan_desk.db"
        with closing(sqlite_module().connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield

    return fail


def check(answer, channel, *, says, unlike, caplog):
    """Check the text of an error, and that the log holds its request id."""
    assert says in answer.text.replace("\n", " ")
    assert unlike not in answer.text
    number = answer.headers["X-Request-ID"]
    assert re.fullmatch("[0-9a-f]{16}", number)
    if channel == "api":
        assert answer.mimetype == "application/problem+json"
        assert answer.json["request_id"] == number
    else:
        assert answer.mimetype == "text/html"
        assert f"<code>{number}</code>" in answer.text
    assert f"request {number}: " in caplog.text


@CHANNELS
def test_failure_before_the_commit(prepare, channel, failing_insert, query, caplog):
    send = prepare(channel)
    with failing_insert():
        answer = send()
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    check(answer, channel, says=NOT_STORED, unlike=MAYBE, caplog=caplog)
    assert query(STORED) == [(0,)]
    assert send().status_code in (201, 303)
    assert query(STORED) == [(1,)]


@ON_POSTGRESQL
@CHANNELS
@pytest.mark.parametrize(("cut", "stored"), [("before", 0), ("after", 1)])
def test_connection_lost_at_the_commit(prepare, channel, proxy, cut, stored, query, caplog):
    """The client cannot know whether the server has committed."""
    send = prepare(channel)
    proxy.cut = cut
    answer = send()
    proxy.cut = ""
    assert answer.status_code == 503
    check(answer, channel, says=MAYBE, unlike=NOT_STORED, caplog=caplog)
    assert "it may have been stored" in caplog.text
    assert query(STORED) == [(stored,)]


@ON_ONE
@CHANNELS
def test_write_that_fails_on_a_full_disk(prepare, channel, config, query, caplog):
    """SQLite cannot tell whether what it could not finish will be there after a crash."""
    send = prepare(channel)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    full = (config.instance / "loan_desk.db-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (full, hard))
    try:
        answer = send()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert answer.status_code == 503
    check(answer, channel, says=MAYBE, unlike=NOT_STORED, caplog=caplog)
    assert query(STORED) == [(0,)]
    assert send().status_code in (201, 303)
    assert query(STORED) == [(1,)]


@ON_POSTGRESQL
@CHANNELS
def test_nothing_is_read_back_after_the_commit(
    prepare, channel, proxy, query, granted, bundle, until
):
    """The answer succeeds although the database is out of reach after the commit."""
    send = prepare(channel)
    proxy.cut = "later"
    answer = send()
    until(lambda: proxy.lost)  # noted after the client has its answer
    number, probability = query("SELECT id, probability FROM decisions ORDER BY id")[-1]
    assert probability == bundle.scorer.score(granted).probability
    if channel == "api":
        assert answer.status_code == 201
        assert (answer.json["id"], answer.json["probability"]) == (number, probability)
    else:
        assert (answer.status_code, answer.location) == (303, f"/decisions/{number}")


@CHANNELS
def test_error_after_the_commit(prepare, channel, unfinished, query, caplog):
    send = prepare(channel, content_type="application/json; v=1")  # Flask answers it

    def fail():
        raise RuntimeError("the answer could not be finished")

    unfinished.append(fail)
    answer = send()
    assert answer.status_code == 500
    check(answer, channel, says=MAYBE, unlike=NOT_STORED, caplog=caplog)
    assert query(STORED) == [(1,)]


@ON_POSTGRESQL
def test_connection_lost_at_the_end_of_a_request(app, desk, sign_in, query, unfinished):
    """The request of a page that only reads ends after the connection was closed."""
    browser = sign_in(desk.test_client())
    end_all = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    unfinished.append(lambda: query(end_all))
    for _ in range(2):
        assert browser.get("/decisions").status_code == 200
    assert unfinished == []
