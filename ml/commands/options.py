"""Options, a number type and output functions that several commands use."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
from pydantic import BaseModel

from ml.bundle.facts import REPEATED
from ml.product.conditions import passing_unanswered
from ml.product.definition import Product

bundle_option = click.option(
    "--bundle",
    type=click.Path(path_type=Path),
    default="models/consumer_credit",
    show_default=True,
    metavar="DIR",
    help="The bundle: the folder that a training wrote.",
)

out_option = click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder to write the new bundle to. Default: that of the bundle, which is kept "
    "beside it.",
)


class FiniteRange(click.FloatRange):
    """A range of finite numbers; click's own range accepts NaN and, without a bound, infinity."""

    def convert(
        self, value: float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number, or report an error if it is not finite."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


def left_out_lines(left_out: Mapping[str, int]) -> Iterator[str]:
    """Yield one line for each reason why rows were left out, with their number."""
    for name, count in left_out.items():
        rows = f"{count:,} row{'' if count == 1 else 's'} left out"
        yield f"{rows}: {'repeated' if name == REPEATED else f'no {name}'}."


def unchecked_lines(product: Product) -> Iterator[str]:
    """Yield one line for each policy rule that leaving out an answer keeps."""
    for rule, field in passing_unanswered(product.policy_rules, product.by_name):
        yield f"{rule} is not checked without {field}, and no rule says that it is missing."


def print_json(answer: BaseModel) -> None:
    """Print a model as one JSON object on one line."""
    click.echo(json.dumps(answer.model_dump(mode="json")))
