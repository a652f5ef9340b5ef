"""Time the list of decisions on SQLite and PostgreSQL: python -m bench.listing [--write]."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from statistics import median
from zoneinfo import ZoneInfo

import click
from flask_migrate import upgrade

from bench.listing_rows import fill
from bench.machine import foreign_cores, usage, wait_for_quiet
from bench.report import machine, write_section
from bench.stores import disk_folder, file_system, postgresql
from webapp import create_app
from webapp.config import Config
from webapp.decisions.conditions import Question
from webapp.decisions.filters import SORTS, Filter
from webapp.decisions.listing import Page, Position, list_decisions
from webapp.extensions import db
from webapp.ledger.transaction import end_reading
from webapp.people.operators import Operator

PAGE = Path(__file__).parents[1] / "docs/benchmarks.md"
NAME = "bench.listing"
REQUIRED_MS = 50
PATIENCE_SECONDS = 30  # for a quiet machine
TODAY = date.today()
FILTERS: dict[str, dict[str, str]] = {
    "none": {},
    "a reference": {"search": "2025/0500002"},
    "the beginning of many references": {"search": "2025/0"},
    "the last three days": {"from": str(TODAY - timedelta(3))},
    "a month, two years ago": {
        "from": str(TODAY - timedelta(700)),
        "to": str(TODAY - timedelta(670)),
    },
    "refused": {"decision": "refused"},
    "referred": {"decision": "referred"},
    "never in review": {"reviewed": "no"},
    "review not closed (none)": {"reviewed": "open"},
    "at the desk": {"channel": "desk"},
    "a clerk": {"operator": "bench-clerk-03"},
    "a clerk with three decisions": {"operator": "bench-rare"},
    "an API key": {"operator": "bench-key-1"},
    "the previous model": {"model": "older"},
    "a model of 50 decisions": {"model": "oldest"},
    "a model of none": {"model": "none"},
    "a common amount": {"amount_from": "5000", "amount_to": "5000"},
    "high amounts": {"amount_from": "159900"},
    "low probabilities": {"probability_to": "2"},
    "probabilities over half": {"probability_from": "50"},
    "unusual": {"novelty": "unusual"},
    "four conditions": {
        "amount_from": "150000",
        "novelty": "unusual",
        "decision": "refused",
        "operator": "bench-key-2",
    },
    "two that never meet": {"decision": "refused", "probability_from": "75"},
}


@dataclass(frozen=True)
class Timed:
    """The milliseconds of the pages of a list in one order, of all rounds."""

    filter: str
    sort: str
    first: list[float]
    deep: list[float]
    complete: bool  # whether the first page is full, or the list ends there


def ask(chosen: dict[str, str], sort: str, position: Position | None) -> tuple[float, Page]:
    """Return the milliseconds of a page as an analyst sees it, and the page."""
    analyst = Operator("user", 1, "bench", frozenset({"analyst"}))
    given = Filter.model_validate({**chosen, "sort": sort})
    question = Question(given, analyst, ZoneInfo("Europe/Paris"))
    start = time.perf_counter()
    page = list_decisions(question, position=position)
    end_reading()
    return (time.perf_counter() - start) * 1e3, page


def time_lists(decisions: int, rounds: int) -> Iterator[Timed]:
    """Time the first page and one in the middle, after a round that is not counted."""
    for (name, chosen), sort in product(FILTERS.items(), SORTS):
        deep = Position(decisions // 2)
        _, page = ask(chosen, sort, None)
        ask(chosen, sort, deep)
        yield Timed(
            name,
            sort,
            [ask(chosen, sort, None)[0] for _ in range(rounds)],
            [ask(chosen, sort, deep)[0] for _ in range(rounds)],
            page.searched_to is None,
        )


def measure(
    config: Config, decisions: int, rounds: int, servers: Sequence[int]
) -> tuple[list[Timed], float]:
    """Fill a new database, and time the lists; also return how many cores others used."""
    app = create_app(config)
    with app.app_context():
        upgrade()
        db.engine.dispose()
        fill(config, decisions)
        wait_for_quiet(PATIENCE_SECONDS, servers)
        before = usage(servers)
        timed = list(time_lists(decisions, rounds))
        return timed, foreign_cores(before, usage(servers))


def row(name: str, timed: Sequence[Timed]) -> str:
    """Return the median over all orders, and the slowest order, of a filter."""
    some = [one for one in timed if one.filter == name]
    first, deep = ([median(getattr(one, kind)) for one in some] for kind in ("first", "deep"))
    slowest = max(some, key=lambda one: max(median(one.first), median(one.deep)))
    worst = max(max(one.first + one.deep) for one in some)
    stopped = sum(not one.complete for one in some)
    return (
        f"| {name} | {median(first):.1f} ms | {median(deep):.1f} ms | "
        f"{max(*first, *deep):.1f} ms ({slowest.sort}) | {worst:.1f} ms | {stopped or '–'} |"
    )


HEAD = """\
| filter | first page | deep inside | slowest order | worst | orders that stop |
| --- | ---: | ---: | ---: | ---: | ---: |"""


def report(results: dict[str, list[Timed]], facts: Sequence[str]) -> str:
    parts = [", ".join(facts) + "."]
    for name, timed in results.items():
        medians = [m for one in timed for m in (median(one.first), median(one.deep))]
        within = sum(m <= REQUIRED_MS for m in medians)
        lines = "\n".join(row(chosen, timed) for chosen in FILTERS)
        parts.append(
            f"**{name}**: {within:,} of {len(medians):,} pages within {REQUIRED_MS} ms.\n\n"
            f"{HEAD}\n{lines}"
        )
    return "\n\n".join(parts)


@click.command(help=__doc__)
@click.option("--decisions", default=1_000_000, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--bundle", type=click.Path(path_type=Path), default="models/consumer_credit")
@click.option("--write", is_flag=True, help=f"Write the result into {PAGE.name}.")
def main(decisions: int, rounds: int, bundle: Path, *, write: bool) -> None:
    with ExitStack() as stack:
        folder = stack.enter_context(disk_folder())
        server = stack.enter_context(postgresql(folder / "postgresql"))
        server.execute("CREATE DATABASE listing ENCODING 'UTF8' TEMPLATE template0")
        results, foreign = {}, 0.0
        for name, url in (("SQLite", ""), (f"PostgreSQL {server.version}", server.url("listing"))):
            config = Config(instance=folder / name, database_url=url, bundle=bundle)
            results[name], others = measure(config, decisions, rounds, [server.pid])
            foreign = max(foreign, others)
        facts = [
            *(*machine(), file_system(folder), f"{decisions:,} decisions, {rounds} rounds"),
            f"other processes used up to {foreign:.1f} cores",
        ]
    text = report(results, facts)
    print(text)
    if write:
        write_section(PAGE, NAME, text)


if __name__ == "__main__":
    main(prog_name="python -m bench.listing")
