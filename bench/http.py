"""Compare Loan Desk with peers over HTTP, in one run on one machine: python -m bench.http."""

import re
import signal
import sys
from pathlib import Path

import click

from bench.applications import choose
from bench.compared import NAMES, prepared
from bench.load import LoadFailed, find_wrk
from bench.measure import Measurement, Plan, measure
from bench.servers import ServerFailed
from bench.stores import NotDurable, disk_folder
from ml.bundle.reader import read_bundle


def show(found: Measurement, round_number: int) -> None:
    """Print what one server did in one round."""
    many, one = found.many, found.one
    print(
        f"round {round_number}: {found.server:16} {many.load.rate:8,.0f}/s  "
        f"p50 {many.load.p50_ms:6.1f} ms  p99 {many.load.p99_ms:6.1f} ms  "
        f"one connection p50 {one.load.p50_ms:5.2f} ms  CPU {many.cpu_ms:5.2f} ms  "
        f"{found.memory_mib:4.0f} MiB  start {found.start_seconds:4.2f} s  "
        f"others {many.foreign_cores:.2f} and {one.foreign_cores:.2f} cores",
        flush=True,
    )


@click.command(help=__doc__)
@click.option(
    "--bundle",
    "bundle_folder",
    type=click.Path(path_type=Path),
    default="models/consumer_credit",
    show_default=True,
)
@click.option(
    "--only", default="", help=f"Servers to measure, a regular expression: {', '.join(NAMES)}."
)
@click.option("--rounds", default=3, show_default=True)
@click.option("--seconds", default=10.0, show_default=True, help="Length of a measurement.")
@click.option("--warm-up", default=3.0, show_default=True, help="Seconds of load before it.")
@click.option(
    "--patience",
    default=120.0,
    show_default=True,
    help="Seconds to wait for a quiet machine and to repeat disturbed measurements.",
)
def main(
    bundle_folder: Path, only: str, rounds: int, seconds: float, warm_up: float, patience: float
) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the servers stop too
    names = [name for name in NAMES if re.search(only, name)]
    try:
        find_wrk()
        bundle = read_bundle(bundle_folder)
        with disk_folder() as folder, prepared(names, bundle, folder) as servers:
            plan = Plan(seconds, warm_up, patience, choose(bundle), folder)
            for number in range(rounds):
                for server in servers:
                    show(measure(server, plan), number + 1)
    except (LoadFailed, NotDurable, ServerFailed) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main(prog_name="python -m bench.http")
