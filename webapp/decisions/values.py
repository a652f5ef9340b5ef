"""The values of an application as text, and the table of what was entered and normalised."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from flask_babel import gettext as _, lazy_gettext

from ml.product.application import Application, Value
from ml.product.definition import Field, Product
from ml.product.figures import Figure, compute, figures_of
from ml.product.formats import decimal, percent
from webapp.decisions.records import Contents
from webapp.language import current, integer, words

PLACES, SHARE_PLACES = 2, 1  # decimals of figures, also in static/numbers.js

DECISION_NAMES = {
    "granted": lazy_gettext("Granted"),
    "refused": lazy_gettext("Refused"),
    "referred": lazy_gettext("Referred"),
}
Shown = Value | float  # float, because type checkers let it stand for int as well


@dataclass(frozen=True)
class Row:
    """A table row of the decision page: a value as entered and as the model saw it."""

    label: str
    value: str
    unit: str
    normalised: str
    empty: bool = False
    computed: bool = False


def rows_of(contents: Contents, product: Product | None) -> list[Row]:
    """Return a row for each field, and one for each figure and ratio computed from them."""
    fields = product.by_name if product else {}
    seen = {name: _normalised(value) for name, value in contents.normalised.items()}
    answers = [
        _row(fields.get(name), name, value, seen[name]) for name, value in contents.inputs.items()
    ]
    if product is None:
        return answers
    return answers + [_computed(f, contents.inputs, seen) for f in figures_of(product)]


def figure_text(figure: Figure, number: float) -> str:
    """Return a number of a figure, rounded: halves away from zero, as browsers do."""
    places = SHARE_PLACES + 2 if figure.share else PLACES
    rounded = float(Decimal(repr(number)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP))
    if figure.share:
        return percent(rounded, current(), places=SHARE_PLACES)
    return decimal(rounded, current(), places=PLACES)


def with_unit(field: Field, value: Shown) -> str:
    """Return a value as it is shown in a sentence."""
    if value is None:
        return str(_("not given"))
    unit = _unit(field, value)
    return f"{entered(field, value)}\u00a0{unit}" if unit else entered(field, value)


def entered(field: Field, value: Shown) -> str:
    """Return a value that was given, without its unit."""
    if field.kind == "flag":
        return str(_("Yes") if value else _("No"))
    if isinstance(value, int):
        return integer(value)
    return next((words(c.label) for c in field.choices if c.value == value), str(value))


def _row(field: Field | None, name: str, value: Value, seen: str) -> Row:
    label = words(field.label) if field else name
    if value is None:
        return Row(label, str(_("not given")), "", seen, empty=True)
    if field is None:  # a product that is no longer served
        return Row(label, str(value), "", seen)
    return Row(label, entered(field, value), _unit(field, value), seen)


def _computed(figure: Figure, inputs: Application, seen: dict[str, str]) -> Row:
    number, name = compute(figure.quantity, inputs), figure.quantity.name
    value = "" if number is None else figure_text(figure, number)
    unit = words(figure.unit) if figure.unit and value else ""
    return Row(words(figure.quantity.label), value, unit, seen.get(name, ""), computed=True)


def _unit(field: Field, value: Shown) -> str:
    unit = field.unit_of(value) if isinstance(value, int) else None
    return words(unit) if unit else ""


def _normalised(seen: float | list[int]) -> str:
    return " ".join(map(str, seen)) if isinstance(seen, list) else decimal(seen, current())
