"""Group commit: a thread that writes all that waits at a moment in one transaction."""

import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, Generic, TypeVar

from prometheus_client import Histogram
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from webapp.database import WRITING
from webapp.failures import InFlight, KeyClaimed, NotStored, OutcomeUnknown
from webapp.ledger.transaction import committed

MAX_WAITING = 1_000  # records that wait; the next one is refused
MAX_BATCH = 100  # records in one transaction
PATIENCE_SECONDS = 5.0  # that a record waits until the thread takes it
WRITE_SECONDS = 60.0  # that a transaction lasts at most: longer than the database's own timeouts
IDLE_SECONDS = 1.0  # without work, after which the thread ends and gives its connection back
LOCK_NOT_AVAILABLE, DEADLOCK = "55P03", "40P01"  # PostgreSQL's SQLSTATE

Record = TypeVar("Record")
Prepared = TypeVar("Prepared")
Written = TypeVar("Written")


class _Pending(Generic[Record, Prepared, Written]):
    """A record that waits, and then what came of it."""

    __slots__ = ("_done", "error", "prepared", "record", "taken", "written")

    def __init__(self, record: Record) -> None:
        self.record = record
        self.taken = False  # by the thread that writes, or by its own, which has lost patience
        self.prepared: Prepared | None = None
        self.written: Written | None = None
        self.error: BaseException | None = None
        self._done = Lock()
        self._done.acquire()

    def wait(self, seconds: float) -> bool:
        """Wait until it is done; any number of threads can."""
        if not self._done.acquire(timeout=seconds):
            return False
        self._done.release()
        return True

    def finish(self, error: BaseException | None = None) -> None:
        self.error = error
        self._done.release()

    def result(self) -> Written:
        if self.error is not None:
            raise self.error
        return self.written  # type: ignore[return-value]  # no error: it was written


class Writer(Generic[Record, Prepared, Written]):
    """Prepares and writes records in the order in which they come, many in one transaction.

    While a transaction waits or is committed, more records come. One that cannot be written fails
    alone: the others are written without it.

    `prepare` makes of a record what is to be written, before the transaction, and returns an
    exception in the place of a record that is refused. `write` writes what was prepared in an open
    transaction, and returns what was written, in order.
    """

    def __init__(
        self,
        engine: Engine,
        prepare: Callable[[Sequence[Record]], Sequence[Prepared | Exception]],
        write: Callable[[Connection, Sequence[Prepared]], Sequence[Written]],
        *,
        timing: Histogram | None = None,
    ) -> None:
        self._engine, self._prepare, self._write = engine, prepare, write
        self._timing = timing
        self._queue: SimpleQueue[_Pending[Record, Prepared, Written] | None] = SimpleQueue()
        self._in_flight: dict[Hashable, _Pending[Record, Prepared, Written]] = {}
        self._lock = Lock()
        self._thread: Thread | None = None

    def submit(self, record: Record, *, key: Hashable = None) -> Written:
        """Write a record, and return what was written once it is on disk.

        Raises KeyClaimed once another record of the same key has been dealt with, InFlight if that
        takes too long, NotStored if the record was not written, OutcomeUnknown if it may have been
        written, and the exception in its place if it was refused.
        """
        pending = _Pending[Record, Prepared, Written](record)
        if key is None:
            return self._submit(pending)
        first = self._in_flight.setdefault(key, pending)
        if first is not pending:
            if first.wait(PATIENCE_SECONDS):
                raise KeyClaimed
            raise InFlight("a request with the same key is still being worked on")
        try:
            return self._submit(pending)
        finally:
            del self._in_flight[key]

    def close(self) -> None:
        """Write what waits, and end the thread, which gives its connection back."""
        with self._lock:
            thread = self._thread
            if thread is not None:
                self._queue.put(None)
        if thread is not None:
            thread.join()

    def _submit(self, pending: _Pending[Record, Prepared, Written]) -> Written:
        if self._queue.qsize() >= MAX_WAITING:
            pending.finish()
            raise NotStored("too many requests wait to be written")
        with self._lock:
            self._queue.put(pending)
            if self._thread is None:
                self._thread = Thread(target=self._run, name="ledger", daemon=True)
                self._thread.start()
        if not pending.wait(PATIENCE_SECONDS) and self._withdraw(pending):
            pending.finish()
            raise NotStored("the database takes too long")
        if not pending.wait(WRITE_SECONDS):
            raise OutcomeUnknown("the database does not answer")
        return pending.result()

    def _withdraw(self, pending: _Pending[Record, Prepared, Written]) -> bool:
        """Take a record out of the queue; return False if the thread has taken it."""
        with self._lock:
            withdrawn = not pending.taken
            pending.taken = True
        return withdrawn

    def _run(self) -> None:
        """Write what waits until nothing has come for a while."""
        connection = None
        try:
            while (batch := self._wait()) is not None:
                if batch:
                    connection = self._write_batch(connection, batch)
        finally:
            if connection is not None:
                connection.close()

    def _wait(self) -> list[_Pending[Record, Prepared, Written]] | None:
        """Wait for records, and prepare all that wait; return None once the thread is to end."""
        with suppress(Empty):
            first = self._queue.get(timeout=IDLE_SECONDS)
            if first is not None:
                return self._take(first)
        with self._lock:
            if self._queue.empty():
                self._thread = None
                return None
        return []

    def _take(
        self, *waiting: _Pending[Record, Prepared, Written]
    ) -> list[_Pending[Record, Prepared, Written]]:
        """Take and prepare all that waits, and return what is to be written."""
        batch = list(waiting)
        with suppress(Empty):
            while len(batch) < MAX_BATCH:
                batch += filter(None, [self._queue.get_nowait()])
        with self._lock:
            batch = [pending for pending in batch if not pending.taken]
            for pending in batch:
                pending.taken = True
        if not batch:
            return []
        try:
            prepared = self._prepare([pending.record for pending in batch])
        except BaseException as error:
            _fail(batch, error)
            return []
        for pending, made in zip(batch, prepared, strict=True):
            if isinstance(made, Exception):
                pending.finish(made)
            else:
                pending.prepared = made
        return [pending for pending in batch if pending.prepared is not None]

    def _write_batch(
        self, connection: Connection | None, batch: list[_Pending[Record, Prepared, Written]]
    ) -> Connection | None:
        """Write a batch, and all that comes until its transaction begins.

        Returns the connection, or None if it can no longer be used.
        """
        started = time.perf_counter()
        try:
            if connection is None:
                connection = self._engine.connect().execution_options(**WRITING)
            with committed(connection):
                batch += self._take()
                self._write_all(connection, batch)
        except BaseException as error:
            if connection is not None and len(batch) > 1 and _is_of_one_record(error):
                for pending in batch:  # each in a transaction of its own
                    connection = self._write_batch(connection, [pending])
                return connection
            _fail(batch, error)
            return _usable(connection, after=error)
        seconds = time.perf_counter() - started
        for pending in batch:
            if self._timing is not None:
                self._timing.observe(seconds)
            pending.finish()
        return connection

    def _write_all(
        self, connection: Connection, batch: list[_Pending[Record, Prepared, Written]]
    ) -> None:
        prepared = [pending.prepared for pending in batch]
        written = self._write(connection, prepared)  # type: ignore[arg-type]  # none is None
        for pending, result in zip(batch, written, strict=True):
            pending.written = result


def _is_of_one_record(error: BaseException) -> bool:
    """Return whether an error may be due to one record, rather than to the database."""
    if isinstance(error, OutcomeUnknown):
        return False
    if isinstance(error, OperationalError | InterfaceError):
        return getattr(error.orig, "sqlstate", None) in (LOCK_NOT_AVAILABLE, DEADLOCK)
    return True


def _fail(batch: Sequence[_Pending[Any, Any, Any]], error: BaseException) -> None:
    for pending in batch:
        pending.finish(error)


def _usable(connection: Connection | None, *, after: BaseException) -> Connection | None:
    """Return a connection if it can be used after an error; otherwise close it."""
    lost = isinstance(after, OperationalError | InterfaceError | OutcomeUnknown)
    if connection is None or not lost:
        return connection
    with suppress(DBAPIError):
        connection.invalidate()
    connection.close()
    return None
