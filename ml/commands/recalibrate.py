"""The command that corrects the probabilities of a bundle by outcomes."""

from pathlib import Path

import click

from ml.bundle.reader import read_bundle
from ml.bundle.writer import refuse_foreign
from ml.commands.options import bundle_option, out_option
from ml.training.recalibrate import recalibrate


@click.command("recalibrate")
@bundle_option
@click.option(
    "--outcomes",
    type=click.Path(path_type=Path),
    required=True,
    metavar="CSV",
    help="Outcomes of granted loans, as `flask export training-data` writes them.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="CSV",
    help="The rows that the bundle was trained on. Default: the product's own data.",
)
@out_option
def command(bundle: Path, outcomes: Path, data: Path | None, out: Path | None) -> None:
    """Correct the probabilities of a model by outcomes: write a new bundle.

    The ranking of applications and the threshold stay. Which loans are granted changes.
    """
    model = read_bundle(bundle)
    folder = out or bundle
    refuse_foreign(folder)
    done = recalibrate(model, folder, outcomes=outcomes, data=data or model.product.data_file)
    by = done.bundle.manifest.recalibration
    rows = by.rows if by else 0
    click.echo(
        f"{rows:,} outcomes: {done.observed:.1%} good, by the probabilities {done.expected:.1%}"
    )
    for name, line in done.lines.items():
        click.echo(f"{name}: log-odds × {line.slope:.3f} {line.shift:+.3f}")
    click.echo(f"{done.no_longer:,} of these loans would now be refused.")
    click.echo(f"Written to {done.bundle.directory}, version {done.bundle.version}.")
