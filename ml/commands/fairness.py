"""The command that compares decisions between protected groups."""

import hashlib
from pathlib import Path

import click
from pydantic import ValidationError

from ml.bundle.reader import Bundle, read_bundle
from ml.card.card import card_content
from ml.card.fairness_table import as_text
from ml.commands.options import bundle_option, left_out_lines, print_json
from ml.evaluation.fairness import assess
from ml.evaluation.fairness_reports import FairnessReport
from ml.product.errors import InvalidData
from ml.product.tolerances import Fairness
from ml.training.dataset import read_rows


def _limit(ctx: click.Context, option: click.Parameter, value: str | None) -> float | None:
    """Validate a limit by the rules for the limits of a product."""
    if value is None or option.name is None:
        return None
    try:
        limit: float = getattr(Fairness.model_validate({option.name: value}), option.name)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise click.BadParameter(f"{value!r}: {reason}", ctx, option) from error
    return limit


@click.command("fairness")
@bundle_option
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="CSV",
    help="The rows to decide. Default: print the report made at training, on unseen rows.",
)
@click.option("--json", is_flag=True, help="Print all figures as one JSON object.")
@click.option(
    "--grant-ratio",
    metavar="R",
    callback=_limit,
    help="The lowest ratio of two groups' grant rates that is within the limits. "
    "Default: the product's.",
)
@click.option(
    "--difference",
    metavar="D",
    callback=_limit,
    help="The largest difference in equal opportunity that is within the limits. "
    "Default: the product's.",
)
@click.option(
    "--smallest-group",
    metavar="N",
    callback=_limit,
    help="How many rows, and good rows, a group needs to be assessed. Default: the product's.",
)
def command(bundle: Path, data: Path | None, *, json: bool, **given: float | None) -> None:
    """Compare decisions between protected groups."""
    model = read_bundle(bundle)
    limits = {name: limit for name, limit in given.items() if limit is not None}
    if data is not None:
        report = _assessed(model, data, limits)
    elif limits:
        raise InvalidData("limits can be changed only with --data, not for the report of training")
    else:
        report = card_content(model).fairness
    if json:
        print_json(report)
    else:
        click.echo(as_text(report))


def _assessed(bundle: Bundle, data: Path, limits: dict[str, float]) -> FairnessReport:
    rows = read_rows(bundle.product, data)
    for line in left_out_lines(rows.left_out):
        click.echo(line, err=True)
    probability = bundle.scorer.score_many(rows.fields)
    digest = hashlib.sha256(data.read_bytes()).hexdigest()
    if digest == bundle.manifest.data.sha256:
        click.echo(
            "Warning: the model was trained on these rows, so the results are too good.", err=True
        )
    overridden = bundle.product.fairness.model_copy(update=limits)
    return assess(
        bundle.product,
        rows.protected,
        good=rows.good,
        granted=probability >= bundle.threshold,
        probability=probability,
        limits=overridden,
    )
