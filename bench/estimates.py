"""Show how often the estimated performance holds what comes true, if applications have moved:
python -m bench.estimates [--runs 200].

Half of the training rows play those of the bundle. From the other half, decisions are drawn that
have moved in a random direction of the model's columns."""

from pathlib import Path

import click
import numpy as np

from ml.bundle.reader import read_bundle
from ml.monitoring.estimated import NAMES, Decided, estimate, figures_of
from ml.monitoring.rows import TrainingRows, read_training_rows

STRENGTHS = {"none": 0.0, "small": 0.5, "medium": 1.0, "large": 1.5}  # in standard deviations
SHARE = 1 / 6  # of the rows that are decisions


def one_run(random, rows, strength, *, threshold, cost_ratio):
    """Whether each interval holds the figure that came true, both errors, and the rows' worth."""
    training, pool = np.array_split(random.permutation(len(rows.good)), 2)
    moved = rows.matrix[pool] @ random.normal(size=rows.matrix.shape[1])
    odds = strength * (moved - moved.mean()) / moved.std() + random.gumbel(size=len(pool))
    some = pool[np.argsort(-odds)[: int(SHARE * len(rows.good))]]
    probability = rows.probability[some]
    granted = probability >= threshold
    found = estimate(
        Decided(probability, granted, rows.matrix[some], probability),
        TrainingRows(rows.matrix[training], rows.probability[training], rows.good[training]),
        cost_ratio=cost_ratio,
        seed=int(random.integers(2**32)),
    )
    real = figures_of(probability, rows.good[some] * 1.0, granted=granted, cost_ratio=cost_ratio)
    return [
        (
            found.estimates[name].low <= getattr(real, name) <= found.estimates[name].high,
            found.estimates[name].value - getattr(real, name),
            getattr(found.plain, name) - getattr(real, name),
        )
        for name in NAMES
    ], found.effective / len(training)


@click.command(help=__doc__)
@click.option("--bundle", type=click.Path(path_type=Path), default=Path("models/consumer_credit"))
@click.option("--runs", default=200, show_default=True, help="For each size of a shift.")
def main(bundle: Path, runs: int) -> None:
    served = read_bundle(bundle)
    rows = read_training_rows(served)
    random = np.random.default_rng(20_261_127)
    limits = {"threshold": served.threshold, "cost_ratio": served.manifest.cost_ratio}
    click.echo(f"{served.version}, {runs} runs, {int(SHARE * len(rows.good)):,} decisions each\n")
    click.echo(
        f"| shift | rows that count | {' | '.join(NAMES)} | bad_share: error | CBPE's error |"
    )
    click.echo(f"| --- | ---: |{' ---: |' * (len(NAMES) + 2)}")
    for size, strength in STRENGTHS.items():
        results = [one_run(random, rows, strength, **limits) for _ in range(runs)]
        figures = np.array([figures for figures, _ in results], dtype=float)
        held = figures[:, :, 0].mean(axis=0)
        errors = np.sqrt((figures[:, NAMES.index("bad_share"), 1:] ** 2).mean(axis=0))
        cells = [f"{np.mean([worth for _, worth in results]):.0%}", *(f"{h:.1%}" for h in held)]
        click.echo(f"| {size} | {' | '.join([*cells, *(f'{e:.3f}' for e in errors)])} |")


if __name__ == "__main__":
    main()
