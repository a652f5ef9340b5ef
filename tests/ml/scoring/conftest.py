"""An application that several scoring tests start from."""

from collections.abc import Callable

import pytest

from ml.product.application import Application
from ml.product.definition import Product


@pytest.fixture(scope="session")
def middle() -> Callable[[Product], Application]:
    """Return a valid application with every field in the middle of its range."""

    def fill(product: Product) -> Application:
        return {
            field.name: (field.minimum + field.maximum) // 2
            if field.kind == "integer"
            else 0
            if field.kind == "flag"
            else field.choices[0].value
            for field in product.inputs
        }

    return fill
