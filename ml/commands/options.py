"""Options, number types and output that several commands share."""

import json
import math
from pathlib import Path

import click
from pydantic import BaseModel

bundle_option = click.option(
    "--bundle",
    type=click.Path(path_type=Path),
    default="models/consumer_credit",
    show_default=True,
    metavar="DIR",
    help="The folder that a training wrote.",
)


class FiniteRange(click.FloatRange):
    """A range that refuses infinity and NaN, which compare with no bound."""

    def convert(
        self, value: float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


def print_json(answer: BaseModel) -> None:
    """Print a model as one JSON object on one line."""
    click.echo(json.dumps(answer.model_dump(mode="json")))
