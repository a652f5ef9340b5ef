"""Compare Loan Desk with other services over HTTP, in one run: python -m bench.http."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from bench import growth
from bench.applications import choose, write_bodies
from bench.chart import draw_rates
from bench.compared import DESK_SQLITE, LABELS, Prepared, prepared
from bench.figures import Round
from bench.load import LoadFailed, find_wrk
from bench.measure import (
    CONNECTIONS,
    Alone,
    Measurement,
    Plan,
    measure,
    measure_alone,
    warm_up,
)
from bench.report import facts, report, write_section
from bench.servers import Running, ServerFailed, started
from bench.stores import NotDurable, Postgresql, disk_folder
from ml.bundle.reader import Bundle, read_bundle

PAGE = Path("docs/benchmarks.md")
CHART = Path("docs/images/benchmark.svg")
QUICK = {"seconds": 1, "warm_up": 1, "patience": 0}


@contextmanager
def planned(names: list[str], bundle: Bundle, **options: int) -> Iterator[tuple[Plan, Prepared]]:
    """Prepare the servers and what is sent to them."""
    with disk_folder() as folder, prepared(names, bundle, folder) as servers:
        plan = Plan(choose(bundle), folder, **options)
        write_bodies(plan.samples, plan.bodies)
        yield plan, servers


@contextmanager
def running(plan: Plan, servers: Prepared) -> Iterator[list[tuple[Running, Alone]]]:
    """Measure each server alone, and then run all at once; a server that fails is left out."""
    begun = []
    with ExitStack() as stack:
        alone = []
        for server in servers.servers:
            with reporting_failure():
                alone.append((server, measure_alone(server, plan, servers.postgresql)))
        for server, measured in alone:
            with reporting_failure():
                process = stack.enter_context(started(server, plan.log(server)))
                warm_up(process, plan)
                begun.append((process, measured))
        yield begun


def measure_round(
    plan: Plan, begun: list[tuple[Running, Alone]], database: Postgresql | None
) -> Round:
    """Measure each server once, one after the other; a server that fails is left out."""
    measured = {}
    for process, alone in begun:
        with reporting_failure():
            done = measure(process, alone, plan, database)
            show(done)
            measured[done.server] = done
    return measured


@contextmanager
def reporting_failure() -> Iterator[None]:
    try:
        yield
    except (LoadFailed, ServerFailed) as error:
        print(f"FAILED: {error}", flush=True)


def show(measured: Measurement) -> None:
    """Print what one server did."""
    many, one = measured.many, measured.one
    print(
        f"{measured.server:16} {many.load.rate:8,.0f}/s  "
        f"p50 {many.load.p50_ms:6.1f} ms  p99 {many.load.p99_ms:6.1f} ms  "
        f"one connection {one.load.p50_ms:5.2f} ms  CPU {many.cpu_ms:5.2f} ms  "
        f"{measured.alone.memory_mib:4.0f} MiB  start {measured.alone.start.seconds:4.2f} s  "
        f"others {max(o.foreign_cores for o in measured.observed):.2f} cores",
        flush=True,
    )


def compare(names: list[str], bundle: Bundle, *, rounds: int, write: bool, **options: int) -> bool:
    """Measure the servers in turn, and report; return False if one failed."""
    with planned(names, bundle, **options) as (plan, servers):
        with running(plan, servers) as begun:
            # In turn forwards and backwards, so that a machine that slows down favours none.
            orders = [begun, begun[::-1]]
            measured = [
                measure_round(plan, orders[number % 2], servers.postgresql)
                for number in range(rounds)
            ]
        text = report(measured, facts(plan, bundle, servers.postgresql))
    complete = all(by_name.keys() == set(names) for by_name in measured)
    if any(measured):
        print(f"\n{text}")
    if complete and write:
        draw_rates(measured, CHART)
        alternative = "Requests a second of each server, as in the table"
        picture = f"![{alternative}]({CHART.relative_to(PAGE.parent)})"
        write_section(PAGE, "bench.http", f"{text}\n\n{picture}")
    return complete


def grow(names: list[str], bundle: Bundle, *, requests: int, write: bool, **options: int) -> None:
    """Measure the growth of the servers' memory, and report."""
    with planned(names, bundle, **options) as (plan, servers):
        rows = [growth.measure_growth(s, plan, requests).row() for s in servers.servers]
        measured_on = facts(plan, bundle, servers.postgresql)
    text = "\n".join([f"{measured_on}.\n", growth.HEAD, *rows])
    print(f"\n{text}")
    if write:
        write_section(PAGE, "bench.growth", text)


@click.command(help=__doc__)
@click.option(
    "--bundle",
    "bundle_folder",
    type=click.Path(path_type=Path),
    default="models/consumer_credit",
    show_default=True,
)
@click.option("--only", default="", help=f"Regular expression; servers: {', '.join(LABELS)}.")
@click.option("--rounds", default=10, show_default=True)
@click.option("--seconds", default=3, show_default=True, help="Length of a measurement.")
@click.option("--warm-up", default=3, show_default=True, help="Seconds of load before it.")
@click.option("--connections", default=CONNECTIONS, show_default=True)
@click.option(
    "--patience",
    default=60,
    show_default=True,
    help="Seconds to wait for a quiet machine before a measurement, and to repeat a disturbed one.",
)
@click.option("--growth", "requests", type=int, help="Only measure memory over so many requests.")
@click.option("--quick", is_flag=True, help="Only try it: one round of one second; no waiting.")
@click.option("--write", is_flag=True, help=f"Write the results into {PAGE}.")
def main(
    *,
    bundle_folder: Path,
    only: str,
    rounds: int,
    requests: int | None,
    quick: bool,
    write: bool,
    **options: int,
) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the servers stop too
    if quick:
        rounds, options = 1, options | QUICK
    only = only or (f"^{DESK_SQLITE}$" if requests else "")
    names = [name for name in LABELS if re.search(only, name)]
    if write and not requests and len(names) < len(LABELS):
        raise click.UsageError("--write needs all servers")
    try:
        find_wrk()
        bundle = read_bundle(bundle_folder)
        if requests:
            grow(names, bundle, requests=requests, write=write, **options)
        elif not compare(names, bundle, rounds=rounds, write=write, **options):
            raise click.ClickException("some servers failed, see above")
    except subprocess.CalledProcessError as error:
        raise click.ClickException(f"{error}\n{error.stderr or ''}") from error
    except (LoadFailed, NotDurable, ServerFailed) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main(prog_name="python -m bench.http")
