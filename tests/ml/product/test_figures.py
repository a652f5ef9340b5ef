"""Tests of the figures that help while an application is entered."""

import pytest

from ml.product.figures import compute, figures_of
from ml.product.files import read_product
from ml.product.quantities import Quantity
from ml.product.texts import Text

LABEL = Text(en="Quantity", fr="Grandeur")


@pytest.fixture(params=["consumer_credit", "mortgage"])
def shipped(request):
    return read_product(request.param)


def test_shipped_products_show_instalment_and_loan_to_price(shipped):
    instalment, price = figures_of(shipped)
    assert instalment.quantity.inputs == (shipped.amount, shipped.term)
    assert instalment.unit.en == f"{shipped.currency}/month"
    assert instalment.unit.fr == f"{shipped.currency}/mois"
    assert price.quantity.name == "loan_to_price"
    assert price.share
    numbers = {f.name: 50 for f in shipped.inputs if f.kind == "integer"}
    assert compute(instalment.quantity, numbers | {shipped.amount: 125}) == 2.5
    assert compute(price.quantity, numbers) == 1


def test_product_without_a_term_shows_no_instalment(shipped):
    without = shipped.model_copy(update={"term": None})
    assert [f.quantity.name for f in figures_of(without)] == ["loan_to_price"]


@pytest.mark.parametrize("numbers", [{}, {"a": 1}, {"a": 1, "b": None}, {"a": 1, "b": 0}])
def test_compute_without_a_number(numbers):
    assert compute(Quantity(name="q", label=LABEL, sum={"a": 1}, over=("b",)), numbers) is None


def test_compute_sum_product_and_quotient():
    quantity = Quantity(name="q", label=LABEL, sum={"a": 1, "b": -2}, times=("c",), over=("d", "e"))
    assert compute(quantity, {"a": 10, "b": 2, "c": 5, "d": 3, "e": 2}) == 5


def test_quantity_of_several_units_has_none(shipped):
    mixed = Quantity(name="mixed", label=LABEL, sum={shipped.amount: 1, shipped.term: 1})
    *_, last = figures_of(shipped.model_copy(update={"figures": (mixed,)}))
    assert (last.share, last.unit) == (False, None)
