"""Tests of the group commit: all that waits is written together, and what is bad fails alone."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from webapp.columns import now
from webapp.extensions import db
from webapp.failures import InFlight, KeyClaimed, NotStored
from webapp.ledger import writer as module
from webapp.ledger.driver import Driver
from webapp.ledger.writer import Writer

NAMES = "SELECT name FROM operators WHERE kind = 'system' AND name <> 'system' ORDER BY id"
COLUMNS = ("kind", "name", "created_at")


@pytest.fixture
def batches():
    """The names that each transaction has tried to write."""
    return []


@pytest.fixture
def pause():
    """While it is not set, the writer waits before it writes."""
    event = Event()
    event.set()
    return event


@pytest.fixture
def writer(app, batches, pause):
    """A writer of operators."""

    def write(connection, names):
        batches.append(list(names))
        assert pause.wait(30)
        driver = Driver(connection)
        moment = driver.moment(now())
        driver.insert("operators", COLUMNS, [("system", name, moment) for name in names])
        return [name.upper() for name in names]

    with app.app_context():
        writer = Writer(db.engine, list, write)
    yield writer
    pause.set()
    writer.close()


@pytest.fixture
def gathered(writer, batches, pause, until):
    """Return a function that submits names while the writer writes another one."""

    def submit(*names, key=None):
        pause.clear()
        with ThreadPoolExecutor(len(names) + 1) as pool:
            first = pool.submit(writer.submit, "first")
            until(lambda: batches)
            others = [pool.submit(writer.submit, name) for name in names]
            until(lambda: writer._queue.qsize() == len(names))
            pause.set()
            assert first.result(30) == "FIRST"
            return [other.exception(30) or other.result() for other in others]

    return submit


def test_what_waits_is_written_in_one_transaction(gathered, batches, query):
    assert gathered("a", "b", "c") == ["A", "B", "C"]
    assert [sorted(batch) for batch in batches] == [["first"], ["a", "b", "c"]]
    assert {name for (name,) in query(NAMES)} == {"first", "a", "b", "c"}


def test_bad_record_fails_alone(gathered, batches, query):
    answers = gathered("a", "x" * 65, "first", None, "b")  # too long on PostgreSQL, taken, nameless
    assert (answers[0], answers[4]) == ("A", "B")
    assert isinstance(answers[2], IntegrityError)
    assert isinstance(answers[3], IntegrityError | AttributeError)
    assert {name for (name,) in query(NAMES)} >= {"first", "a", "b"}


def test_a_batch_is_limited(gathered, batches, monkeypatch):
    monkeypatch.setattr(module, "MAX_BATCH", 2)
    gathered("a", "b", "c")
    assert sorted(map(len, batches)) == [1, 1, 2]


def test_too_much_that_waits_is_refused(writer, batches, pause, until, query, monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    pause.clear()
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(writer.submit, "first")]
        until(lambda: batches)
        waiting += [pool.submit(writer.submit, name) for name in ("a", "b")]
        until(lambda: writer._queue.qsize() == 2)
        with pytest.raises(NotStored):
            writer.submit("c", key="c")
        pause.set()
        assert {w.result(30) for w in waiting} == {"FIRST", "A", "B"}
    assert writer.submit("d", key="c") == "D"  # and the refused one's key is free
    assert "c" not in {name for (name,) in query(NAMES)}


def test_record_that_waits_too_long_is_withdrawn(writer, batches, pause, until, query, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.1)
    pause.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(writer.submit, "first")  # taken: it waits on
        until(lambda: batches)
        with pytest.raises(NotStored):
            writer.submit("a")
        pause.set()
        assert first.result(30) == "FIRST"
    assert writer.submit("b") == "B"
    assert query(NAMES) == [("first",), ("b",)]


def test_records_of_one_key_are_written_one_at_a_time(writer, query, monkeypatch):
    start = Barrier(4)

    def submit(name):
        start.wait(30)
        return writer.submit(name, key="same")

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(submit, name) for name in "abcd"]
        outcomes = [d.exception(30) or d.result() for d in done]
    assert {type(o) for o in outcomes} <= {str, KeyClaimed}
    written = sorted(o.lower() for o in outcomes if isinstance(o, str))
    assert sorted(name for (name,) in query(NAMES)) == written != []


def test_record_of_a_key_in_flight_is_not_waited_for_too_long(
    writer, batches, pause, until, monkeypatch
):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.1)
    pause.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(writer.submit, "first", key="same")
        until(lambda: batches)
        with pytest.raises(InFlight):
            writer.submit("a", key="same")
        pause.set()
        assert first.result(30) == "FIRST"


def test_thread_ends_when_idle_and_begins_again(writer, until, monkeypatch, app):
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.05)
    assert writer.submit("a") == "A"
    until(lambda: writer._thread is None)
    with app.app_context():
        assert db.engine.pool.checkedout() == 0
    assert writer.submit("b") == "B"


def test_database_out_of_reach_and_back(writer, hold_writes, monkeypatch, query, app, batches):
    assert writer.submit("a") == "A"
    with app.app_context():
        if db.engine.dialect.name == "postgresql":
            query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            with pytest.raises(OperationalError):
                writer.submit("b")
    assert writer.submit("c") == "C"
    assert ("c",) in query(NAMES)
