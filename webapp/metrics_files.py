"""The metrics files of several processes; a full disk or a damaged file stops none of them."""

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client import values
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

log = logging.getLogger(__name__)

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"  # set if several processes write metrics files
FIRST_BYTES = 1 << 16  # first size of a file, as in prometheus_client; doubled when it is full
ENTRY_BYTES = 32  # at most, for an entry without its key: length, padding, value, timestamp


class AllocatedFile(MmapedDict):
    """A metrics file whose space is allocated before it is used.

    prometheus_client makes a file longer without allocating the space. On a full disk, a write
    into it then ends the process by SIGBUS. Here the value is not written: the process keeps it in
    memory, and writes it when there is space again.
    """

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        self._fname = filename
        self._f: Any = None
        self._positions: dict[str, int] = {}
        self._full = False
        if read_mode:
            super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]

    def read_value(self, key: str) -> tuple[float, float]:
        if not self._has_room(key):
            return 0.0, 0.0
        value: tuple[float, float] = super().read_value(key)  # type: ignore[no-untyped-call]
        return value

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        if self._has_room(key):
            super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]

    def _has_room(self, key: str) -> bool:
        if key in self._positions:
            return True
        try:
            if self._f is None:
                _allocate(self._fname, FIRST_BYTES)
                super().__init__(self._fname)  # type: ignore[no-untyped-call]
            if self._used + len(key.encode()) + ENTRY_BYTES > self._capacity:
                _allocate(self._fname, 2 * self._capacity)
        except OSError as error:
            if not self._full:  # once, and not at every request
                log.warning("metrics are not written: %s: %s", self._fname, error.strerror)
            self._full = True
            return False
        self._full = False
        return True


def _allocate(name: str, size: int) -> None:
    """Allocate a file's space up to a size, or raise an OSError."""
    if not hasattr(os, "posix_fallocate"):  # macOS
        return
    with Path(name).open("ab") as file:
        before = os.fstat(file.fileno()).st_size
        try:
            os.posix_fallocate(file.fileno(), 0, max(size, before))
        except OSError:
            file.truncate(before)  # some of it may have been allocated
            if not before:
                Path(name).unlink()
            raise


def _process_id() -> int:
    """Return this process's id; the library would ask the system for it for every value."""
    return _process[0]


def _forked() -> None:
    _process[0] = os.getpid()


_process = [os.getpid()]
os.register_at_fork(after_in_child=_forked)
values.MmapedDict = AllocatedFile  # type: ignore[attr-defined]  # the class of all its files
if DIRECTORY in os.environ:
    values.ValueClass = values.MultiProcessValue(_process_id)  # type: ignore[no-untyped-call]


class Files(Collector):
    """The processes' metrics files; one that cannot be read is left out, and counted."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)

    def collect(self) -> Iterator[Metric]:
        files = sorted(str(f) for f in self._directory.glob("*.db"))
        unreadable = 0
        try:
            merged = _merge(files)
        except Exception:  # a truncated or overwritten file can raise any error
            readable = [f for f in files if self._readable(f)]
            unreadable = len(files) - len(readable)
            merged = _merge(readable)
        yield from merged
        yield GaugeMetricFamily(
            "loan_metrics_files_unreadable",
            "Metrics files of processes that the last scrape had to leave out.",
            value=unreadable,
        )

    def _readable(self, file: str) -> bool:
        try:
            _merge([file])
        except Exception as error:
            log.warning("metrics file %s cannot be read: %r", Path(file).name, error)
            return False
        return True


def _merge(files: list[str]) -> list[Metric]:
    for file in files:
        with Path(file).open("rb") as content:
            # A file begins with its used length; prometheus_client reads a file with a negative
            # one as empty.
            if int.from_bytes(content.read(4), sys.byteorder, signed=True) < 0:
                raise ValueError("negative length")
    return list(MultiProcessCollector.merge(files, accumulate=True))  # type: ignore[no-untyped-call]
