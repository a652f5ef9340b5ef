"""Measure the processor time of each candidate on more rows than are shipped."""

import time

import click
import numpy as np
import pandas as pd

from ml.product.files import read_product
from ml.training.candidates import LABELS, candidates
from ml.training.dataset import read_rows
from ml.training.train import DEFAULT, FOLDS, SEED, fit

JITTER = 0.05  # relative change of each number, so that a row drawn twice differs


def more_rows(product, count):
    """Return rows drawn with replacement, with numbers changed slightly within their bounds."""
    rows = read_rows(product, product.data_file)
    rng = np.random.default_rng(SEED)
    drawn = rng.integers(0, len(rows.good), count)
    fields = rows.fields.iloc[drawn].reset_index(drop=True)
    for field in product.inputs:
        if field.kind == "integer":
            moved = (fields[field.name] * rng.lognormal(0, JITTER, count)).round()
            fields[field.name] = moved.clip(field.minimum, field.maximum)
    return pd.DataFrame(fields), rows.good[drawn]


@click.command()
@click.option("--product", "name", default="consumer_credit", show_default=True)
@click.option("--rows", default=10_000, show_default=True)
@click.option("--candidate", "names", multiple=True, help="Default: all of them.")
def main(name: str, rows: int, names: tuple[str, ...]) -> None:
    """Search, calibrate and fit each candidate once, as a training does for each fold."""
    product = read_product(name)
    data = more_rows(product, rows)
    click.echo(f"{rows:,} rows, settings searched on {DEFAULT.search_rows:,}\n")
    click.echo(f"| candidate | once | at most {FOLDS + 1} times |")
    click.echo("| --- | ---: | ---: |")
    for candidate in candidates(product, seed=SEED):
        if names and candidate.name not in names:
            continue
        start = time.process_time()
        fit(candidate, product, data, effort=DEFAULT, seed=SEED)
        once = time.process_time() - start
        click.echo(
            f"| {LABELS[candidate.name].en} | {once:.0f} s | {(FOLDS + 1) * once / 60:.1f} min |"
        )


if __name__ == "__main__":
    main(prog_name="python -m bench.training")
