"""What the form shows beside the fields while an application is entered: the figures."""

from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from pydantic_core import to_json

from ml.product.definition import Product
from ml.product.figures import Figure, compute, figures_of
from ml.product.formats import decimal, parse_integer, percent
from webapp.decisions.forms import ApplicationForm
from webapp.language import current, words

PLACES, SHARE_PLACES = 2, 1  # decimals, also in static/figures.js


class ShownFigure(NamedTuple):
    """A figure, and what a browser needs to compute it while one types."""

    label: str
    value: str  # empty if it cannot be computed yet
    unit: str
    formula: str  # as JSON


def shown_figures(product: Product, form: ApplicationForm) -> list[ShownFigure]:
    """Return the figures of what stands in a form."""
    numbers = {
        f.name: parse_integer(str(form[f.name].data or ""))
        for f in product.inputs
        if f.kind == "integer"
    }
    return [_shown(figure, numbers) for figure in figures_of(product)]


def _shown(figure: Figure, numbers: dict[str, int | None]) -> ShownFigure:
    quantity = figure.quantity
    number = compute(quantity, numbers)
    formula = quantity.model_dump(include={"sum", "times", "over"}) | {"share": figure.share}
    return ShownFigure(
        label=words(quantity.label),
        value="" if number is None else _written(number, share=figure.share),
        unit=words(figure.unit) if figure.unit else "",
        formula=to_json(formula).decode(),
    )


def _written(number: float, *, share: bool) -> str:
    if share:
        return percent(_rounded(number, SHARE_PLACES + 2), current(), places=SHARE_PLACES)
    return decimal(_rounded(number, PLACES), current(), places=PLACES)


def _rounded(number: float, places: int) -> float:
    """Round halves away from zero, and a number as it is written, as browsers do."""
    return float(Decimal(repr(number)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP))
