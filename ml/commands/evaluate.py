"""The command that decides the rows of a CSV file and prints figures."""

from pathlib import Path

import click

from ml.bundle.reader import read_bundle
from ml.commands.options import bundle_option, print_json
from ml.evaluation.performance import compare
from ml.training.dataset import read_rows


@click.command("evaluate")
@bundle_option
@click.option("--data", type=click.Path(path_type=Path), required=True, metavar="CSV")
def command(bundle: Path, data: Path) -> None:
    """Decide the rows of a CSV file, print figures as JSON."""
    model = read_bundle(bundle)
    fields, good = read_rows(model.product, data)
    print_json(compare(good, model.scorer.score_many(fields), threshold=model.threshold))
