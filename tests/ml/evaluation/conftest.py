"""Fixtures of the tests of evaluation."""

import pytest

from ml.product.files import read_product


@pytest.fixture(scope="module")
def mortgage():
    return read_product("mortgage")
