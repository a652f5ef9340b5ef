"""The values of an application as text, and the table of what was entered and normalised."""

from dataclasses import dataclass

from flask_babel import gettext as _

from ml.product.application import Value
from ml.product.definition import Field, Product
from webapp.decisions.records import Contents
from webapp.language import decimal, integer, words


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
    """Return a row for each field, and one for each ratio that was computed from them."""
    fields = product.by_name if product else {}
    entered_rows = [
        _row(fields.get(name), name, value, _normalised(contents.normalised[name]))
        for name, value in contents.inputs.items()
    ]
    computed = [
        Row(words(r.label), "", "", _normalised(contents.normalised[r.name]), computed=True)
        for r in (product.ratios if product else ())
        if r.name in contents.normalised
    ]
    return entered_rows + computed


def with_unit(field: Field, value: Value) -> str:
    """Return a value as it is shown in a sentence."""
    if value is None:
        return str(_("not given"))
    unit = _unit(field, value)
    return f"{entered(field, value)}\u00a0{unit}" if unit else entered(field, value)


def entered(field: Field, value: Value) -> str:
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


def _unit(field: Field, value: Value) -> str:
    unit = field.unit_of(value) if isinstance(value, int) else None
    return words(unit) if unit else ""


def _normalised(seen: float | list[int]) -> str:
    return " ".join(map(str, seen)) if isinstance(seen, list) else decimal(seen)
