"""Figures that help while an application is entered, such as the instalment; no model sees them."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from ml.product.definition import Product
from ml.product.quantities import Quantity
from ml.product.texts import LANGUAGES, Text

INSTALMENT = Text(en="Instalment without interest", fr="Mensualité hors intérêts")


class Figure(NamedTuple):
    """A quantity to show, with its unit."""

    quantity: Quantity
    share: bool  # of two numbers of the same unit, to be shown as a percentage
    unit: Text | None


def figures_of(product: Product) -> tuple[Figure, ...]:
    """Return the figures of a product.

    Parameters
    ----------
    product : Product

    Returns
    -------
    tuple of Figure
        The instalment, if the product has a term; its ratios; and its other figures.
    """
    of_term = instalment(product)
    others = (_figure(product, q) for q in (*product.ratios, *product.figures))
    return (*([of_term] if of_term else []), *others)


def instalment(product: Product) -> Figure | None:
    """Return the amount of the loan divided by its term.

    Parameters
    ----------
    product : Product

    Returns
    -------
    Figure or None
        None if the product has no term.
    """
    if not product.term:
        return None
    terms = {product.amount: 1.0}
    over = (product.term,)
    return _figure(product, Quantity(name="instalment", label=INSTALMENT, sum=terms, over=over))


def compute(quantity: Quantity, numbers: Mapping[str, int | str | None]) -> float | None:
    """Compute a quantity.

    Parameters
    ----------
    quantity : Quantity
    numbers : mapping of str to int, str or None
        An application, or at least its integer fields; one that is not known is absent or None.

    Returns
    -------
    float or None
        None if a number is not known, or a divisor is 0.
    """
    value = quantity.value({name: numbers.get(name) for name in quantity.inputs})
    return None if math.isnan(value) else value


def _figure(product: Product, quantity: Quantity) -> Figure:
    above = {product.by_name[name].unit for name in quantity.sum}
    if len(above) > 1 or len(quantity.over) > 1 or quantity.times:
        return Figure(quantity, share=False, unit=None)
    [unit] = above
    if not quantity.over:
        return Figure(quantity, share=False, unit=unit)
    below = product.by_name[quantity.over[0]]
    if unit is None or below.unit is None:
        return Figure(quantity, share=False, unit=None)
    if unit == below.unit:
        return Figure(quantity, share=True, unit=None)
    one = below.unit_one or below.unit
    units = {code: f"{unit.in_language(code)}/{one.in_language(code)}" for code in LANGUAGES}
    return Figure(quantity, share=False, unit=Text(**units))
