"""Tests of ml/product/samples.py."""

import pytest

from ml.product.application import Rules
from ml.product.files import PRODUCTS, read_product
from ml.product.samples import UNSEEN, examples

SHIPPED = sorted(path.stem for path in PRODUCTS.glob("*.toml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_examples_satisfy_the_rules(name):
    product = read_product(name)
    rules = Rules(product)
    found = examples(product, count=500, seed=4)
    assert [rules.check(application) for application in found] == found


@pytest.mark.parametrize("name", SHIPPED)
def test_examples_hold_missing_values_and_unseen_words(name):
    product = read_product(name)
    found = examples(product, count=500, seed=4, unseen=True)
    for field in product.inputs:
        answers = [application[field.name] for application in found]
        assert (None in answers) == field.optional
        assert (UNSEEN in answers) == (field.kind == "choice")


def test_examples_with_one_seed_are_the_same(product):
    assert examples(product, count=20, seed=1) == examples(product, count=20, seed=1)
    assert examples(product, count=20, seed=1) != examples(product, count=20, seed=2)
