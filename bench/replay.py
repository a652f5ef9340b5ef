"""Time the replay of stored decisions on SQLite: python -m bench.replay [--decisions 50000]."""

import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import click
from flask_migrate import upgrade

from ml.product.application import Application, Submission
from ml.product.definition import Product
from ml.training.dataset import as_applications, read_rows
from webapp import create_app
from webapp.audit.replay import replay
from webapp.config import Config
from webapp.decisions import service
from webapp.decisions.deciding import write_judged
from webapp.ledger.driver import Driver
from webapp.ledger.transaction import unit_of_work
from webapp.people.operators import Operator, add_operator
from webapp.processes import available
from webapp.serving.served import model

DECISIONS_PER_TRANSACTION = 100


def applications(product: Product, count: int) -> list[Application]:
    """Return the shipped rows, again and again."""
    rows = as_applications(read_rows(product, product.data_file).fields)
    return list(islice(cycle(rows), count))


def store(product: Product, count: int) -> int:
    """Decide and store applications; return the number that was granted."""
    with unit_of_work() as transaction:
        operator = Operator("api_key", add_operator(transaction, "api_key", "bench"), "bench")
    some, granted = applications(product, count), 0
    for start in range(0, count, DECISIONS_PER_TRANSACTION):
        new = [
            service.judge(Submission(application), operator=operator, channel="api")
            for application in some[start : start + DECISIONS_PER_TRANSACTION]
        ]
        with unit_of_work() as transaction:
            stored = write_judged(Driver.of(transaction), new)
        granted += sum(one.decision.granted for one in stored)
    return granted


def seconds(count: int, processes: int) -> float:
    start = time.perf_counter()
    tally = replay(print, processes=processes)
    taken = time.perf_counter() - start
    if tally.matching != count:
        raise SystemExit(f"only {tally.matching} of {count} decisions match")
    return taken


@click.command(help=__doc__)
@click.option(
    "--bundle", "folder", type=click.Path(path_type=Path), default="models/consumer_credit"
)
@click.option("--decisions", "count", default=50_000, show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--processes", multiple=True, default=(1, available()), show_default=True)
def main(folder: Path, count: int, rounds: int, processes: tuple[int, ...]) -> None:
    with tempfile.TemporaryDirectory() as instance:
        app = create_app(Config(instance=Path(instance), bundle=folder))
        with app.app_context():
            upgrade()
            bundle = model.bundle
            granted = store(bundle.product, count)
            print(f"{bundle.version}: {count:,} decisions, {1 - granted / count:.0%} refused")
            for number in processes:
                fastest = min(seconds(count, number) for _ in range(rounds))
                print(
                    f"{number} process{'' if number == 1 else 'es'}: {fastest:.2f} s, "
                    f"{count / fastest:,.0f} decisions/s (fastest of {rounds})"
                )


if __name__ == "__main__":
    main(prog_name="python -m bench.replay")
