"""The metrics files of several processes; a full disk or a damaged file stops none of them."""

import fcntl
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
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
# The name of a file: the kind of metric, the mode of a gauge, and a process id.
WRITTEN = re.compile(r"(counter|gauge_[a-z]+|histogram|summary)_([0-9]+)\.db")
ADDED = ("counter", "histogram", "summary")  # kinds that keep what processes have counted
GAUGE = "gauge_"
ENDED = 0  # in the place of a process id, for all processes that have ended


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
                _make(self._fname)
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


def _make(name: str) -> None:
    """Allocate the first space of a file; raises OSError. No scrape sees a file without any."""
    if Path(name).exists():
        _allocate(name, FIRST_BYTES)
        return
    new = Path(name).with_suffix(".new")
    _allocate(str(new), FIRST_BYTES)
    if new.exists():  # where space can be allocated
        new.replace(name)


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
        unreadable = 0
        with _locked(self._directory, fcntl.LOCK_SH):
            files = sorted(str(f) for f in self._directory.glob("*.db") if not _is_over(f))
            try:
                merged = _merge(files)
            except Exception:  # a truncated or overwritten file can raise any error
                readable = [f for f in files if self._readable(f)]
                unreadable = len(files) - len(readable)
                merged = _merge(readable)
        yield from merged
        yield GaugeMetricFamily(
            "loan_metrics_files", "Metrics files of processes.", value=len(files)
        )
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


def remove_files(directory: Path) -> None:
    """Remove the metrics files of an earlier start, and no other files."""
    for file in directory.iterdir():
        if WRITTEN.fullmatch(file.with_suffix(".db").name) and file.suffix in (".db", ".new"):
            file.unlink()


def fold_ended(directory: Path) -> None:
    """Add what ended processes have counted to one file for each kind, and remove their gauges.

    Otherwise each worker that ends would leave files, which take space and time at every scrape.
    """
    # No scrape may read the sum and its parts. If one is reading, the next call folds these too:
    # the master waits for no worker, which could hang.
    with _locked(directory, fcntl.LOCK_EX | fcntl.LOCK_NB) as alone:
        ended = [f for f in directory.glob("*.db") if _has_ended(f)] if alone else []
        for file in ended:
            if file.name.startswith(GAUGE):
                file.unlink()
        for kind in ADDED:
            _fold(directory / f"{kind}_{ENDED}.db", [f for f in ended if f.name.startswith(kind)])


def _has_ended(file: Path) -> bool:
    """Return whether the process that wrote a file has ended."""
    name = WRITTEN.fullmatch(file.name)
    if name is None or int(name[2]) == ENDED:
        return False
    try:
        os.kill(int(name[2]), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):  # of another user, or not a process id
        return False
    return False


def _is_over(file: Path) -> bool:
    """Return whether a file holds gauges of a process that has ended."""
    return file.name.startswith(GAUGE) and _has_ended(file)


def _fold(target: Path, files: Sequence[Path]) -> None:
    """Add files to a file and delete them; leave all as they are if there is no room."""
    sums: dict[str, float] = {}
    added = []
    for file in (*([target] if target.exists() else []), *files):
        try:
            values = _values(file)
        except Exception as error:  # left where it is: each scrape counts it
            log.warning("metrics file %s cannot be read: %r", file.name, error)
            if file == target:
                return
            continue
        for key, value in values.items():
            sums[key] = sums.get(key, 0.0) + value
        added.append(file)
    new = target.with_suffix(".new")
    if added and _write(new, sums):
        new.replace(target)
        for file in added:
            if file != target:
                file.unlink()


def _write(new: Path, sums: Mapping[str, float]) -> bool:
    """Write values to a new file; return False if there is no room for all of them."""
    new.unlink(missing_ok=True)
    file = AllocatedFile(str(new))
    for key, value in sums.items():
        file.write_value(key, value, 0.0)
    file.close()  # type: ignore[no-untyped-call]
    if new.exists() and _values(new) == sums:
        return True
    new.unlink(missing_ok=True)
    return False


def _values(file: Path) -> dict[str, float]:
    _check_length(file)
    read = MmapedDict.read_all_values_from_file(str(file))  # type: ignore[no-untyped-call]
    values = {key: value for key, value, _, _ in read}
    if not all(map(isfinite, values.values())):
        raise ValueError("not a number")
    return values


@contextmanager
def _locked(directory: Path, operation: int) -> Iterator[bool]:
    """Lock a folder, and yield whether that was possible."""
    try:
        opened = os.open(directory, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(opened, operation)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(opened)  # and the lock is free


def _check_length(file: Path) -> None:
    """Raise ValueError for a file that prometheus_client would read as empty.

    A file begins with its used length, and the library does not expect a negative one.
    """
    with file.open("rb") as content:
        if int.from_bytes(content.read(4), sys.byteorder, signed=True) < 0:
            raise ValueError("negative length")


def _merge(files: list[str]) -> list[Metric]:
    for file in files:
        _check_length(Path(file))
    return list(MultiProcessCollector.merge(files, accumulate=True))  # type: ignore[no-untyped-call]
