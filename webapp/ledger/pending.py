"""A record that waits to be written, and the work that is done with it."""

from collections.abc import Sequence
from threading import Lock
from typing import Generic, Protocol, TypeVar

from webapp.ledger.driver import Driver

Record = TypeVar("Record")
_Record = TypeVar("_Record", contravariant=True)
Prepared = TypeVar("Prepared")
Written = TypeVar("Written")


class Work(Protocol[_Record, Prepared, Written]):
    """What is done with records, in three steps, each for all of one transaction."""

    def prepare(self, records: Sequence[_Record]) -> Sequence[Prepared | Exception]:
        """Make of records what is to be written, before the transaction begins.

        An exception takes the place of a record that is refused.
        """

    def write(self, driver: Driver, prepared: Sequence[Prepared]) -> Sequence[Written]:
        """Write what was prepared in an open transaction."""

    def finish(self, written: Written) -> Written:
        """Return what `submit` returns; called after the commit."""


class Pending(Generic[Record, Prepared, Written]):
    """A record that waits, and then what came of it."""

    __slots__ = ("_done", "error", "prepared", "record", "taken", "written")

    def __init__(self, record: Record) -> None:
        self.record = record
        self.taken = False  # to be written, or by its own thread, which has lost patience
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
