"""The command that compares the candidates and writes a bundle."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ml.bundle.reader import Bundle
from ml.bundle.writer import refuse_foreign
from ml.card.card import model_card
from ml.card.checks import checks
from ml.commands.options import FiniteRange, left_out_lines, unchecked_lines
from ml.evaluation.performance import threshold_for
from ml.product.files import PRODUCTS, file_of, read_product
from ml.product.texts import LANGUAGES
from ml.training.build import Origin, assemble
from ml.training.dataset import read_rows
from ml.training.train import DEFAULT, FOLDS, SEED, THOROUGH, train

PRINTED = ("expected_cost", "log_loss", "accuracy", "roc_auc")  # the card has every metric
SEEDS = 2**32  # NumPy accepts seeds of 32 bits
SHIPPED = ", ".join(sorted(p.stem for p in PRODUCTS.glob("*.toml")))

console = Console(stderr=True)


@click.command("train")
@click.option(
    "--product",
    default="consumer_credit",
    show_default=True,
    help=f"A shipped product ({SHIPPED}) or the path of a TOML file.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="CSV",
    help="The rows to train on. Default: the product's own data.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder to write the bundle to. Default: models/PRODUCT.",
)
@click.option(
    "--cost-ratio",
    type=FiniteRange(min=0, min_open=True),
    metavar="R",
    help="The cost of granting a bad loan, divided by that of refusing a good one. "
    "Default: the product's.",
)
@click.option(
    "--threshold",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    metavar="P",
    help="The lowest probability of a good loan that is granted. Default: from the cost ratio.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, SEEDS, max_open=True),
    default=SEED,
    show_default=True,
    metavar="N",
    help="The seed of all random numbers.",
)
@click.option(
    "--thorough", is_flag=True, help="Repeat the comparison and search finer grids. Takes longer."
)
@click.option("--force", is_flag=True, help="Write a model even if it is no better than none.")
def command(
    *,
    product: str,
    data: Path | None,
    out: Path | None,
    cost_ratio: float | None,
    threshold: float | None,
    seed: int,
    thorough: bool,
    force: bool,
) -> None:
    """Train a model: compare the candidates and write a bundle."""
    definition = read_product(product)
    file = data or definition.data_file
    rows = read_rows(definition, file)
    folder = out or Path("models") / definition.name
    refuse_foreign(folder)  # before training, which takes minutes
    ratio = cost_ratio or definition.cost_ratio
    grant_from = threshold or threshold_for(ratio)
    effort = THOROUGH if thorough else DEFAULT
    good = rows.good
    console.print(f"{definition.label.en}: {len(good):,} rows, {good.mean():.1%} of them good")
    for line in left_out_lines(rows.left_out):
        console.print(line)
    trained = train(
        definition,
        rows.data,
        threshold=grant_from,
        cost_ratio=ratio,
        effort=effort,
        seed=seed,
        progress=_progress,
    )
    origin = Origin(
        definition=file_of(product).read_bytes(),
        data_file=file,
        rows=rows,
        seed=seed,
        effort=effort,
        cost_ratio=ratio,
        threshold=grant_from,
        by_hand=threshold is not None,
        force=force,
    )
    _report(assemble(folder, definition, trained, origin))


def _progress(tasks: Iterable[Any], total: int) -> Iterator[Any]:
    columns = (TextColumn("comparing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        yield from bar.track(tasks, total=total)


def _report(bundle: Bundle) -> None:
    manifest = bundle.manifest
    folds = FOLDS * manifest.effort.repeats
    table = Table(title=f"Nested cross-validation, {folds} outer folds: mean ± standard deviation")
    table.add_column("candidate")
    for metric in PRINTED:
        table.add_column(metric.replace("_", " "), justify="right")
    for row in manifest.table:
        style = "bold" if row.name == manifest.champion else ""
        spreads = [getattr(row, metric) for metric in PRINTED]
        cells = [f"{spread.mean:.4f} ± {spread.sd:.4f}" for spread in spreads]
        table.add_row(row.label.en, *cells, style=style)
    console.print(table)
    console.print(manifest.rule.en)
    console.print(manifest.reason.en)
    if manifest.scorer == "pipeline":
        console.print(
            "This champion has no array form, so the service will run its scikit-learn pipeline, "
            "which is slower and needs more memory."
        )
    for sentence in checks(model_card(bundle), LANGUAGES[0]):
        console.print(f"- {sentence}")
    for line in unchecked_lines(bundle.product):
        console.print(f"- {line}")
    console.print(f"Threshold {manifest.threshold:.4g} ({manifest.threshold_from}).")
    console.print(f"Written to {bundle.directory}, version {bundle.version}.")
