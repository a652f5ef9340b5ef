"""Writes what was measured as Markdown, between two comments of a page."""

import os
import platform
import re
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median

import pysqlite3

from bench.compared import LABELS, LOCK
from bench.figures import (
    Quantity,
    Round,
    cpu,
    figures,
    is_quiet,
    memory,
    p50_of_one,
    p99,
    rate,
    start,
    with_range,
)
from bench.load import wrk_version
from bench.machine import QUIET_CORES
from bench.measure import Measurement, Plan
from bench.stores import Postgresql, file_system, sync_ms
from ml.bundle.reader import Bundle

TARGETS_HEAD = """\
| figure | required | goal | measured | reached |
| --- | ---: | ---: | ---: | --- |"""


@dataclass(frozen=True)
class Column:
    """A column of the table of servers."""

    head: str
    quantity: Quantity
    decimals: int
    unit: str = ""
    ranged: bool = False  # whether the range is shown too

    def cell(self, measured: list[Measurement]) -> str:
        quiet = [one for one in measured if is_quiet(self.quantity, one)]
        values = [self.quantity(one) for one in quiet or measured]
        shown = values if self.ranged else [median(values)]
        mark = "" if quiet else " \\*"
        return f"{with_range(shown, self.decimals)} {self.unit}".strip() + mark


COLUMNS = [
    Column("requests/s", rate, 0, ranged=True),
    Column("p50", lambda m: m.many.load.p50_ms, 1, "ms"),
    Column("p99", p99, 1, "ms", ranged=True),
    Column("p50, one connection", p50_of_one, 2, "ms"),
    Column("CPU a request", cpu, 2, "ms"),
    Column("memory", memory, 0, "MiB"),
    Column("start", start, 2, "s"),
]


def targets_table(rounds: list[Round]) -> str:
    rows = [figure.row(rounds) for figure in figures()]
    return "\n".join([TARGETS_HEAD, *(row for row in rows if row)])


def servers_table(rounds: list[Round]) -> str:
    """Return the medians of each server, some with their ranges."""
    heads = ["server", *(column.head for column in COLUMNS)]
    rows = [heads, ["---", *("---:" for _ in COLUMNS)]]
    for name, label in LABELS.items():
        measured = [by_name[name] for by_name in rounds if name in by_name]
        if measured:
            rows.append([label, *(column.cell(measured) for column in COLUMNS)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def disturbed(rounds: list[Round]) -> str:
    """Say how many measurements were disturbed by other processes, and how much."""
    observed = [o for by_name in rounds for m in by_name.values() for o in m.observed]
    others = [o.foreign_cores for o in observed if not o.quiet]
    if not others:
        return f"Other processes never used more than {QUIET_CORES} cores."
    return (
        f"In {len(others)} of {len(observed)} measurements, other processes used more than "
        f"{QUIET_CORES} cores, {max(others):.1f} at the most. They do not count, or are marked as "
        "disturbed or with an asterisk if a server has no others."
    )


def facts(plan: Plan, bundle: Bundle, postgresql: Postgresql | None) -> str:
    """Return what was measured on: the day, the machine, the versions and the load."""
    peers = LOCK.read_text()
    fastapi, uvicorn = (
        re.search(rf"^{name}==(\S+)", peers, flags=re.M)[1]  # type: ignore[index]  # it has both
        for name in ("fastapi", "uvicorn")
    )
    refused = sum(sample.decision == "refused" for sample in plan.samples)
    return ", ".join(
        [
            *machine(),
            f"{file_system(plan.folder)} on Linux {platform.release().partition('-')[0]}",
            f"{sync_ms(plan.folder):.2f} ms to write 4 KiB to the disk",
            f"Python {platform.python_version()}",
            *(f"{name} {version(name)}" for name in ("gunicorn", "Flask", "scikit-learn")),
            f"FastAPI {fastapi}",
            f"uvicorn {uvicorn}",
            f"SQLite {pysqlite3.sqlite_version}",
            *([f"PostgreSQL {postgresql.version}"] if postgresql else []),
            wrk_version(),
            f"bundle `{bundle.version}`",
            f"{len(plan.samples)} applications of which {refused} are refused",
            f"{plan.connections} connections",
            f"{plan.seconds:g} s after {plan.warm_up:g} s of warm-up",
        ]
    )


def machine() -> list[str]:
    """Return the day, the processors and the memory."""
    total = re.search(r"^MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text(), flags=re.M)
    return [
        date.today().isoformat(),
        f"{os.cpu_count()} cores ({_processor()})",
        *([f"{int(total[1]) / 2**20:.0f} GiB"] if total else []),
    ]


def _processor() -> str:
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), flags=re.M)
    return model[1].strip() if model else platform.machine()


def report(rounds: list[Round], facts: str) -> str:
    """Return the whole report."""
    counted = f"medians of {len(rounds)} rounds" if len(rounds) > 1 else "one round"
    parts = [
        f"{facts}; {counted}. {disturbed(rounds)}",
        targets_table(rounds),
        servers_table(rounds),
    ]
    return "\n\n".join(parts)


def write_section(page: Path, name: str, text: str) -> None:
    """Replace what stands between two comments of a page."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    content = page.read_text()
    if content.count(begin) != 1 or content.count(end) != 1:
        raise ValueError(f"{page}: needs {begin} and {end} once each")
    before, _, rest = content.partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")
