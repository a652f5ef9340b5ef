"""Time the SQL of the dashboards: python -m bench.dashboards [--decisions 100000,1000000]."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import click
import psycopg
from flask_migrate import upgrade

from bench.grafana import Query, Shown, expand, read_dashboards, sql_of
from bench.history import DAYS, fill
from bench.machine import foreign_cores, usage, wait_for_quiet
from bench.report import machine, write_section
from bench.stores import Postgresql, disk_folder, file_system, postgresql
from webapp import create_app
from webapp.config import Config
from webapp.extensions import db

PAGE = Path(__file__).parents[1] / "docs/benchmarks.md"
NAME = "bench.dashboards"
RANGES = {"1 day": 1, "30 days": 30, "1 year": 365, "2 years": DAYS}
# All products, and one whose few decisions are the oldest.
SELECTIONS: tuple[Sequence[str] | None, ...] = (None, ["given_up"])
REQUIRED_MS = 200
PATIENCE_SECONDS = 30  # for a quiet machine
SIZE = "SELECT pg_database_size(current_database())"
ROWS = "SELECT count(*) FROM decision_hours"


@dataclass(frozen=True)
class Timed:
    """The milliseconds of a query over one time range, one of each round."""

    query: Query
    span: str
    took: list[float]


@dataclass(frozen=True)
class Filled:
    """A database of a size, and how long its queries took."""

    decisions: int
    rows: int  # of decision_hours
    mib: float
    foreign_cores: float  # that other processes used meanwhile
    timed: list[Timed]

    def slowest(self, span: str | None = None) -> Timed:
        """Return the query with the highest median, of all time ranges or of one."""
        some = [one for one in self.timed if span in (None, one.span)]
        return max(some, key=lambda one: median(one.took))


def measure(server: Postgresql, decisions: int, rounds: int, folder: Path) -> Filled:
    """Fill a new database, and time every query as Grafana's role."""
    name = f"dashboards_{decisions}"
    server.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
    app = create_app(Config(instance=folder / name, database_url=server.url(name)))
    with app.app_context():
        upgrade()
        db.engine.dispose()
    fill(server.url(name), decisions)
    [(size,)], [(rows,)] = (server.execute(text, database=name) for text in (SIZE, ROWS))
    with psycopg.connect(server.url(name), autocommit=True) as connection:
        connection.execute("SET ROLE loan_reader")
        wait_for_quiet(PATIENCE_SECONDS, [server.pid])
        before = usage([server.pid])
        timed = list(time_queries(connection, list(sql_of(read_dashboards())), rounds))
        foreign = foreign_cores(before, usage([server.pid]))
    server.execute(f"DROP DATABASE {name}")
    return Filled(decisions, int(str(rows)), int(str(size)) / 2**20, foreign, timed)


def time_queries(
    connection: psycopg.Connection, queries: Sequence[Query], rounds: int
) -> Iterator[Timed]:
    """Run each query for each time range and selection, after one run that is not counted."""
    end = datetime.now(UTC)
    for span, days in RANGES.items():
        for products in SELECTIONS:
            shown = Shown(end - timedelta(days=days), end, products)
            for query in queries:
                text = expand(query, shown)
                took = [milliseconds(connection, text) for _ in range(rounds + 1)]
                yield Timed(query, span, took[1:])


def milliseconds(connection: psycopg.Connection, text: str) -> float:
    start = time.perf_counter()
    connection.execute(text).fetchall()
    return (time.perf_counter() - start) * 1e3


def table(filled: Sequence[Filled]) -> str:
    """Return the slowest query of each size and time range."""
    heads = ["decisions", "hourly rows", "MiB", *RANGES, "slowest query", "worst", "required"]
    lines = [heads, [*["---:"] * (3 + len(RANGES)), "---", "---:", "---:"]]
    for one in filled:
        slowest, worst = one.slowest(), max(max(timed.took) for timed in one.timed)
        medians = [f"{median(one.slowest(span).took):.0f} ms" for span in RANGES]
        named = f"{slowest.query.dashboard}: {slowest.query.title}"
        sizes = [f"{one.decisions:,}", f"{one.rows:,}", f"{one.mib:,.0f}"]
        lines.append([*sizes, *medians, named, f"{worst:.0f} ms", f"≤ {REQUIRED_MS} ms"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def report(filled: Sequence[Filled], facts: Sequence[str], rounds: int) -> str:
    queries = len({one.query for one in filled[0].timed})
    others = max(one.foreign_cores for one in filled)
    counted = f"{queries} queries, {rounds} rounds. Other processes used up to {others:.1f} cores"
    return f"{', '.join(facts)}, {counted}.\n\n{table(filled)}"


def sizes(_: click.Context, __: click.Parameter, text: str) -> list[int]:
    return [int(one) for one in text.split(",")]


@click.command(help=__doc__)
@click.option("--decisions", default="100000,1000000", show_default=True, callback=sizes)
@click.option("--rounds", default=5, show_default=True)
@click.option("--write", is_flag=True, help=f"Write the result into {PAGE.name}.")
def main(decisions: list[int], rounds: int, *, write: bool) -> None:
    with disk_folder() as folder, postgresql(folder / "postgresql") as server:
        facts = [*machine(), file_system(folder), f"PostgreSQL {server.version}"]
        filled = []
        for count in decisions:
            filled.append(measure(server, count, rounds, folder))
            print(table(filled[-1:]), flush=True)
            for one in sorted(filled[-1].timed, key=lambda t: -median(t.took))[:8]:
                where = f"{one.query.dashboard}: {one.query.title}"
                print(f"{where}, {one.span}: {median(one.took):.0f} ms, worst {max(one.took):.0f}")
    text = report(filled, facts, rounds)
    print(f"\n{text}")
    if write:
        write_section(PAGE, NAME, text)


if __name__ == "__main__":
    main(prog_name="python -m bench.dashboards")
