"""The command that decides the rows of a CSV file and prints performance figures."""

from pathlib import Path

import click

from ml.bundle.reader import read_bundle
from ml.commands.options import bundle_option, left_out_lines, print_json
from ml.evaluation.performance import compare
from ml.training.dataset import read_rows


@click.command("evaluate")
@bundle_option
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    metavar="CSV",
    help="The rows to decide, with the columns of the product's data.",
)
def command(bundle: Path, data: Path) -> None:
    """Decide the rows of a CSV file and print performance figures as JSON."""
    model = read_bundle(bundle)
    rows = read_rows(model.product, data)
    for line in left_out_lines(rows.left_out):
        click.echo(line, err=True)
    probability = model.scorer.score_many(rows.fields)
    print_json(
        compare(
            rows.good,
            probability,
            threshold=model.threshold,
            cost_ratio=model.manifest.cost_ratio,
        )
    )
