"""Tests of the group commit: all that waits is written together, and what is bad fails alone."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, current_thread
from time import monotonic

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import IntegrityError, OperationalError

from webapp.columns import now
from webapp.extensions import db
from webapp.failures import InFlight, KeyClaimed, NotStored, OutcomeUnknown
from webapp.ledger import writer as module
from webapp.ledger.driver import Reader, WritingDriver
from webapp.ledger.writer import Writer

NAMES = "SELECT name FROM operators WHERE kind = 'system' AND name <> 'system' ORDER BY id"
COLUMNS = ("kind", "name", "created_at")


@pytest.fixture
def batches():
    """The names that each transaction has tried to write."""
    return []


@pytest.fixture
def taken():
    """The names that are being written, or have been."""
    return []


@pytest.fixture
def threads():
    """The threads that have written."""
    return []


@pytest.fixture
def pause():
    """While it is not set, the writer waits before it writes."""
    event = Event()
    event.set()
    return event


@pytest.fixture
def writer(app, batches, threads, taken, pause):
    """A writer of operators."""

    class Adding:
        def prepare(self, names):
            taken.extend(names)
            assert pause.wait(30)
            return [ValueError(name) if name == "refused" else name for name in names]

        def write(self, driver, names):
            batches.append(list(names))
            threads.append(current_thread())
            moment = driver.moment(now())
            driver.insert("operators", COLUMNS, [("system", name, moment) for name in names])
            return names

        def finish(self, name):
            if name == "unanswered":
                raise ZeroDivisionError
            return name.upper()

    with app.app_context():
        writer = Writer(db.engine, Adding())
    yield writer
    pause.set()
    writer.close()


@pytest.fixture
def begun(writer, taken, pause, until):
    """Return a function that submits a name, which the writer takes and then waits."""

    def submit(pool, name, **more):
        pause.clear()
        first = pool.submit(writer.submit, name, **more)
        until(lambda: taken)
        return first

    return submit


@pytest.fixture
def gathered(writer, begun, pause, until):
    """Return a function that submits names while the writer prepares another one."""

    def submit(*names):
        with ThreadPoolExecutor(len(names) + 1) as pool:
            first = begun(pool, "first")
            others = [pool.submit(writer.submit, name) for name in names]
            until(lambda: len(writer._waiting) == len(names))
            pause.set()
            assert first.result(30) == "FIRST"
            return [other.exception(30) or other.result() for other in others]

    return submit


def test_what_waits_is_written_in_one_transaction(gathered, batches, query):
    assert gathered("a", "b", "c") == ["A", "B", "C"]
    assert len(batches) <= 2  # of three names at least
    assert sorted(name for batch in batches for name in batch) == ["a", "b", "c", "first"]
    assert {name for (name,) in query(NAMES)} == {"first", "a", "b", "c"}


def test_bad_record_fails_alone(gathered, batches, query):
    answers = gathered("a", "taken", "refused", "taken", "b")
    assert (answers[0], answers[4]) == ("A", "B")
    assert {type(answers[1]), type(answers[3])} == {str, IntegrityError}
    assert isinstance(answers[2], ValueError)
    assert sorted(name for (name,) in query(NAMES)) == ["a", "b", "first", "taken"]
    assert len(batches) >= 5  # together, and then each alone


def test_record_whose_answer_fails_is_stored(gathered, query):
    answers = gathered("a", "unanswered", "b")
    assert (answers[0], type(answers[1]), answers[2]) == ("A", OutcomeUnknown, "B")
    assert sorted(name for (name,) in query(NAMES)) == ["a", "b", "first", "unanswered"]


def test_record_that_comes_alone_is_written_by_its_own_thread(writer, threads):
    assert [writer.submit(name) for name in "ab"] == ["A", "B"]
    assert threads == [current_thread()] * 2


def test_records_that_come_together_are_written_by_the_writers_thread(writer, gathered, threads):
    gathered("a", "b")  # if not these, because the first one's thread has taken them, then the next
    assert writer.submit("c") == "C"
    assert "ledger" in {thread.name for thread in threads}


def test_a_batch_is_limited(gathered, batches, monkeypatch):
    monkeypatch.setattr(module, "MAX_BATCH", 2)
    gathered("a", "b", "c")
    assert max(map(len, batches)) == 3  # two more are taken when the transaction begins
    assert sum(map(len, batches)) == 4


def test_too_much_that_waits_is_refused(writer, begun, pause, until, query, monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    with ThreadPoolExecutor(3) as pool:
        waiting = [begun(pool, "first"), *(pool.submit(writer.submit, name) for name in "ab")]
        until(lambda: len(writer._waiting) == 2)
        with pytest.raises(NotStored):
            writer.submit("c", key="c")
        pause.set()
        assert {w.result(30) for w in waiting} == {"FIRST", "A", "B"}
    assert writer.submit("d", key="c") == "D"  # and the refused one's key is free
    assert "c" not in {name for (name,) in query(NAMES)}


def test_record_that_waits_too_long_is_withdrawn(writer, begun, pause, query, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.1)
    with ThreadPoolExecutor(1) as pool:
        first = begun(pool, "first")  # taken: it waits on
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


def test_record_of_a_key_in_flight_is_not_waited_for_too_long(writer, begun, pause, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.1)
    with ThreadPoolExecutor(1) as pool:
        first = begun(pool, "first", key="same")
        with pytest.raises(InFlight):
            writer.submit("a", key="same")
        pause.set()
        assert first.result(30) == "FIRST"


@pytest.fixture
def together(writer):
    """Return a function that submits names together, and returns what became of each."""

    def submit(*given):
        outcomes = writer.submit_together(given)
        return [type(o) if isinstance(o, Exception) else o for o in outcomes]

    return submit


def test_what_a_thread_submits_together_is_written_by_it_in_one_transaction(
    together, batches, threads
):
    assert together(("a", None), ("refused", None), ("b", None)) == ["A", ValueError, "B"]
    assert batches == [["a", "b"]]
    assert threads == [current_thread()]


def test_key_in_flight_is_not_waited_for_by_what_is_submitted_together(
    writer, together, begun, pause, batches
):
    with ThreadPoolExecutor(1) as pool:
        first = begun(pool, "first", key="theirs")
        assert together(("a", "theirs")) == [InFlight]
        pause.set()
        assert first.result(30) == "FIRST"
    assert together(("a", "same"), ("b", "same"), ("c", "other")) == ["A", InFlight, "C"]
    assert batches == [["first"], ["a", "c"]]
    assert together(("d", "same")) == ["D"]  # no key stays in flight


def test_thread_writes_what_is_too_much_for_one_transaction(together, batches, monkeypatch):
    monkeypatch.setattr(module, "MAX_BATCH", 2)
    started = monotonic()
    assert together(*((name, None) for name in "abcdefg")) == list("ABCDEFG")
    assert monotonic() - started < module.PATIENCE_SECONDS
    assert [len(batch) for batch in batches] == [4, 3]


def test_what_is_submitted_together_while_another_thread_writes_waits_for_it(
    writer, together, begun, pause, until, threads, monkeypatch
):
    with ThreadPoolExecutor(2) as pool:
        first = begun(pool, "first")
        others = pool.submit(together, ("a", None), ("b", None))
        until(lambda: len(writer._waiting) == 2)
        pause.set()
        assert others.result(30) == ["A", "B"]
        assert first.result(30) == "FIRST"
        pause.clear()
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.3)
        hangs = pool.submit(writer.submit, "hangs")
        until(lambda: writer._writing.locked())
        started = monotonic()
        assert together(("c", None), ("d", None)) == [NotStored, NotStored]
        assert monotonic() - started < 0.6  # they have waited at the same time
        pause.set()
        assert hangs.result(30) == "HANGS"


def test_thread_ends_when_idle_and_begins_again(writer, until, monkeypatch, app):
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.05)
    assert writer.submit("a") == "A"
    until(lambda: writer._thread is None)
    with app.app_context():
        assert db.engine.pool.checkedout() == 0
    assert writer.submit("b") == "B"


def test_connection_that_was_closed_meanwhile_is_replaced(writer, query, config):
    assert writer.submit("a") == "A"
    if config.database_url:
        query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert writer.submit("b") == "B"
    assert query(NAMES) == [("a",), ("b",)]


def test_unreachable_server_is_an_operational_error(tmp_path):
    """The driver's own error, which the error handlers do not know, must not be raised."""
    engine = create_engine(f"postgresql+psycopg:///x?host={tmp_path}")
    with pytest.raises(OperationalError):
        Reader(engine).fetch("SELECT 1", ())
    with pytest.raises(OperationalError):
        WritingDriver(engine)
