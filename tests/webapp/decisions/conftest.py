"""A valid application as a user types it."""

import pytest


@pytest.fixture
def typed(granted, texts):
    """A valid application as a user types it, with every answer."""
    return {
        **texts(granted),
        "monthly_income": "2000",
        "loan_amount": "7000",
        "purchase_price": "9000",
    }
