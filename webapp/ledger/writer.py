"""Group commit: all that waits at a moment is written in one transaction."""

import logging
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, Generic

from sqlalchemy import Engine
from sqlalchemy.exc import InterfaceError, OperationalError

from webapp.failures import InFlight, KeyClaimed, NotStored, OutcomeUnknown
from webapp.ledger.driver import WritingDriver
from webapp.ledger.idempotency import waited_for_key
from webapp.ledger.pending import Pending, Prepared, Record, Work, Written
from webapp.ledger.transaction import committed

log = logging.getLogger(__name__)

MAX_WAITING = 1_000  # records that wait; the next one is refused
MAX_BATCH = 100  # records taken at once; a transaction has at most twice as many
PATIENCE_SECONDS = 5.0  # that a record waits until it is taken, or for another of the same key
WRITE_SECONDS = 60.0  # that a record waits on if it was taken: longer than the database's timeouts
GATHER_SECONDS = 0.0005  # that a record waits for more, if the last ones came together
IDLE_SECONDS = 30.0  # without work, after which the thread ends and the connection is given back
DEADLOCK = "40P01"  # PostgreSQL's SQLSTATE


class Writer(Generic[Record, Prepared, Written]):
    """Writes records in the order in which they come, many in one transaction.

    Records that one thread submits together are usually written by that thread, and so is a record
    that comes alone. Where records come from several threads, they wait for one another, and a
    thread of the writer writes them while the next ones gather. A record that cannot be written
    fails alone: the others are written without it.
    """

    def __init__(
        self,
        engine: Engine,
        work: Work[Record, Prepared, Written],
        *,
        observe: Callable[[float, int], None] = lambda seconds, count: None,
    ) -> None:
        self._engine, self._work, self._observe = engine, work, observe
        self._waiting: deque[Pending[Record, Prepared, Written]] = deque()
        self._wake: SimpleQueue[None] = SimpleQueue()  # ends a wait of the thread
        self._in_flight: dict[Hashable, Pending[Record, Prepared, Written]] = {}
        self._lock = Lock()
        self._thread: Thread | None = None
        self._closing = False
        self._writing = Lock()  # held by whoever writes, and uses what stands below
        self._driver: WritingDriver | None = None
        self._last_count = 0  # records in the last transaction
        self._last_used = 0.0  # when the last one began

    def submit(self, record: Record, *, key: Hashable = None) -> Written:
        """Write a record, and return what was written once it is on disk.

        Raises KeyClaimed once another record of the same key has been dealt with, InFlight if that
        takes too long, NotStored if the record was not written, OutcomeUnknown if it may have been
        written, and the exception in its place if it was refused.
        """
        pending = Pending[Record, Prepared, Written](record)
        first = self._claim(pending, key)
        if first is not pending:
            if first.wait(PATIENCE_SECONDS):
                raise KeyClaimed
            raise InFlight("a request with the same key is still being worked on")
        # Its own thread writes one that comes alone: that is quicker, but lets no others gather.
        alone = self._last_count < 2 and not self._waiting
        try:
            until = self._enqueue([pending], write=alone)
            return self._result(pending, until)
        finally:
            self._in_flight.pop(key, None)

    def submit_together(
        self, records: Sequence[tuple[Record, Hashable]]
    ) -> list[Written | Exception]:
        """Write records, each with its key, in one transaction if all can be written.

        Returns what was written, or in its place the exception that `submit` would raise. InFlight
        stands for any other record of a key in flight, which is not waited for.
        """
        pendings, claimed = [], {}
        for record, key in records:
            pending = Pending[Record, Prepared, Written](record)
            pendings.append(pending)
            if self._claim(pending, key) is pending:
                claimed[pending] = key
            else:
                pending.finish(InFlight("a request with the same key is being worked on"))
        try:
            until = self._enqueue(list(claimed), write=True)
            return [self._outcome(pending, until) for pending in pendings]
        finally:
            for key in claimed.values():
                self._in_flight.pop(key, None)

    def close(self) -> None:
        """Write what waits, end the thread, and give the connection back."""
        with self._lock:
            thread = self._thread
            if thread is not None:
                self._closing = True
                self._wake.put(None)
        if thread is not None:
            thread.join()

    def _claim(
        self, pending: Pending[Record, Prepared, Written], key: Hashable
    ) -> Pending[Record, Prepared, Written]:
        """Return the record of a key that is in flight, which may be this one."""
        return pending if key is None else self._in_flight.setdefault(key, pending)

    def _enqueue(
        self, pendings: Sequence[Pending[Record, Prepared, Written]], *, write: bool
    ) -> float:
        """Queue records, write them if wanted and possible, and return until when they wait."""
        until = time.monotonic() + PATIENCE_SECONDS
        if len(self._waiting) >= MAX_WAITING:
            _fail(pendings, NotStored("too many requests wait to be written"))
            return until
        self._waiting.extend(pendings)
        if write and self._writing.acquire(blocking=False):
            try:
                self._write_batch(self._take())
            finally:
                self._writing.release()
        if self._waiting:
            self._wake.put(None)
        self._start()
        return until

    def _result(self, pending: Pending[Record, Prepared, Written], until: float) -> Written:
        """Wait for what comes of a record, which is withdrawn if it is not taken in time."""
        if not pending.wait(max(0, until - time.monotonic())) and self._withdraw(pending):
            pending.finish()
            raise NotStored("the database takes too long")
        if not pending.wait(max(0, until + WRITE_SECONDS - time.monotonic())):
            raise OutcomeUnknown("the database does not answer")
        return pending.result()

    def _outcome(
        self, pending: Pending[Record, Prepared, Written], until: float
    ) -> Written | Exception:
        try:
            return self._result(pending, until)
        except Exception as error:
            return error

    def _start(self) -> None:
        """Start the thread, which writes what waits and closes the connection when it is idle."""
        with self._lock:
            if self._thread is None:
                self._last_used, self._closing = time.monotonic(), False
                self._thread = Thread(target=self._run, name="ledger", daemon=True)
                self._thread.start()

    def _withdraw(self, pending: Pending[Record, Prepared, Written]) -> bool:
        """Take a record out of the queue; return False if it has been taken."""
        with self._lock:
            withdrawn = not pending.taken
            pending.taken = True
        return withdrawn

    def _run(self) -> None:
        """Write what waits until nothing has come for a while."""
        while not self._end_if_idle():
            with suppress(Empty):
                self._wake.get(timeout=0 if self._closing else IDLE_SECONDS)
            if self._waiting:
                if self._last_count > 1 and len(self._waiting) < self._last_count:
                    time.sleep(GATHER_SECONDS)
                with self._writing:
                    self._write_batch(self._take())

    def _end_if_idle(self) -> bool:
        """Close the connection and end the thread, if nothing has been written for a while."""
        if not self._closing and time.monotonic() - self._last_used < IDLE_SECONDS:
            return False
        with self._writing, self._lock:
            if self._waiting:
                return False
            if self._driver is not None:
                self._driver.close()
            self._driver = self._thread = None
        return True

    def _take(self) -> list[Pending[Record, Prepared, Written]]:
        """Take and prepare all that waits, and return what is to be written."""
        if not self._waiting:
            return []
        batch: list[Pending[Record, Prepared, Written]] = []
        with suppress(IndexError):
            while len(batch) < MAX_BATCH:
                batch.append(self._waiting.popleft())
        with self._lock:
            batch = [pending for pending in batch if not pending.taken]
            for pending in batch:
                pending.taken = True
        if not batch:
            return []
        try:
            prepared = self._work.prepare([pending.record for pending in batch])
        except BaseException as error:
            _fail(batch, error)
            return []
        for pending, made in zip(batch, prepared, strict=True):
            if isinstance(made, Exception):
                pending.finish(made)
            else:
                pending.prepared = made
        return [pending for pending in batch if pending.prepared is not None]

    def _write_batch(self, batch: list[Pending[Record, Prepared, Written]]) -> None:
        """Write a batch, and all that comes until its transaction begins."""
        if not batch:
            return
        started = self._last_used = time.monotonic()
        reused = self._driver is not None
        try:
            self._driver = self._driver or WritingDriver(self._engine)
            with committed(self._driver):
                batch += self._take()
                prepared = [pending.prepared for pending in batch]
                written = self._work.write(self._driver, prepared)  # type: ignore[arg-type]
        except BaseException as error:
            if self._drop_connection(error) and reused:
                self._write_batch(batch)  # nothing was stored: try a new connection
                return
            if len(batch) == 1 or not _is_of_one_record(error):
                _fail(batch, error)
                return
            for pending in batch:  # each in a transaction of its own, with what has come meanwhile
                self._write_batch([pending])
            return
        self._last_count = len(batch)
        for pending, result in zip(batch, written, strict=True):
            self._finish(pending, result)
        self._observe(time.monotonic() - started, len(batch))

    def _finish(self, pending: Pending[Record, Prepared, Written], written: Written) -> None:
        try:
            pending.written = self._work.finish(written)
        except Exception as error:
            log.exception("a record was stored, but its answer failed")
            pending.finish(OutcomeUnknown(repr(error)))
        else:
            pending.finish()

    def _drop_connection(self, error: BaseException) -> bool:
        """Close the connection if it may no longer be usable after an error.

        Returns whether the server had closed it before the transaction could be committed.
        """
        if not isinstance(error, OperationalError | InterfaceError | OutcomeUnknown):
            return False
        lost = self._driver is not None and self._driver.lost
        if self._driver is not None:
            self._driver.close(usable=False)
            self._driver = None
        return lost and not isinstance(error, OutcomeUnknown)


def _is_of_one_record(error: BaseException) -> bool:
    """Return whether an error may be due to one record, rather than to the database."""
    if isinstance(error, OutcomeUnknown):
        return False
    if isinstance(error, OperationalError | InterfaceError):
        return waited_for_key(error) or getattr(error.orig, "sqlstate", None) == DEADLOCK
    return True


def _fail(batch: Sequence[Pending[Any, Any, Any]], error: BaseException) -> None:
    for pending in batch:
        pending.finish(error)
