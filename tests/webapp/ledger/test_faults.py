"""Tests of the answers when the database fails before, during or after a commit."""

import re
import resource
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import event

from webapp.extensions import db

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
CHANNELS = pytest.mark.parametrize("channel", ["api", "desk"])
STORED = "SELECT count(*) FROM decisions"
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
def engine(desk):
    with desk.app_context():
        return db.engine


@pytest.fixture
def prepare(desk, api_key, granted, sign_in, hidden, texts):
    """Return a function that sends an application through the API or the form."""

    def by(channel):
        browser = desk.test_client()
        if channel == "api":
            headers = {"Authorization": f"Bearer {api_key}"}
            assert browser.get("/api/v1/models/current", headers=headers).status_code == 200
            return lambda: browser.post("/api/v1/decisions", json=granted, headers=headers)
        form = {**hidden(sign_in(browser)), **texts(granted)}
        return lambda: browser.post("/applications/new", data=form)

    return by


@contextmanager
def listening(engine, **handlers):
    for name, handler in handlers.items():
        event.listen(engine, name, handler)
    try:
        yield
    finally:
        for name, handler in handlers.items():
            event.remove(engine, name, handler)


@pytest.fixture
def failing_statements(engine, config):
    """Break the connection before the statements that a test chooses."""

    @contextmanager
    def fail(chosen):
        interrupted = []

        def interrupt(connection, cursor, statement, parameters, context, executemany):
            if not chosen(statement):
                return
            driver = connection.connection.driver_connection
            if config.database_url:
                with psycopg.connect(config.database_url, autocommit=True) as other:
                    pid = driver.info.backend_pid
                    other.execute("SELECT pg_terminate_backend(%s)", [pid])
            else:
                driver.set_progress_handler(lambda: 1, 1)
                interrupted.append(driver)

        def over(context):
            while interrupted:
                interrupted.pop().set_progress_handler(None, 1)

        with listening(engine, before_cursor_execute=interrupt, handle_error=over):
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
def test_failure_before_the_commit(prepare, channel, failing_statements, query, caplog):
    send = prepare(channel)
    with failing_statements(lambda statement: "INSERT INTO decision_contents" in statement):
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
def test_write_that_fails_at_the_commit(prepare, channel, engine, query, caplog):
    send = prepare(channel)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(connection):
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))

    def free(context):
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    with listening(engine, commit=fill, handle_error=free):
        answer = send()
    assert resource.getrlimit(resource.RLIMIT_FSIZE) == (soft, hard)
    assert answer.status_code == 503
    check(answer, channel, says=MAYBE, unlike=NOT_STORED, caplog=caplog)
    assert query(STORED) == [(0,)]
    assert send().status_code in (201, 303)
    assert query(STORED) == [(1,)]


@CHANNELS
def test_nothing_is_read_back_after_the_commit(
    prepare, channel, engine, failing_statements, query, granted, bundle
):
    """The answer succeeds although every statement after the commit would fail."""
    send, committed = prepare(channel), []
    with (
        listening(engine, commit=committed.append),
        failing_statements(lambda statement: bool(committed)),
    ):
        answer = send()
    assert len(committed) == 1
    [(number, probability)] = query("SELECT id, probability FROM decisions")
    assert probability == bundle.scorer.score(granted).probability
    if channel == "api":
        assert answer.status_code == 201
        assert (answer.json["id"], answer.json["probability"]) == (number, probability)
    else:
        assert (answer.status_code, answer.location) == (303, f"/decisions/{number}")


@CHANNELS
def test_error_after_the_commit(prepare, channel, unfinished, query, caplog):
    send = prepare(channel)

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
