"""What the form shows beside the fields while an application is entered: the figures."""

from typing import NamedTuple

from pydantic_core import to_json

from ml.product.definition import Product
from ml.product.figures import Figure, compute, figures_of
from ml.product.formats import parse_integer
from webapp.decisions.forms import ApplicationForm
from webapp.decisions.values import figure_text
from webapp.language import words


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
        value="" if number is None else figure_text(figure, number),
        unit=words(figure.unit) if figure.unit else "",
        formula=to_json(formula).decode(),
    )
