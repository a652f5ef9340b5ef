"""A valid application, and what a check finds wrong with another."""

import pytest

from ml.product.errors import InvalidApplication

VALID = {
    "loan_amount": 5000,
    "purchase_price": 8000,
    "loan_term_months": 36,
    "employment_type": "permanent",
    "years_in_job": 4,
    "monthly_income": None,
    "monthly_expenses": 300,
    "home_status": "owner",
    "assets": 20000,
    "outstanding_debt": 0,
    "adverse_credit_record": 0,
}


def codes(check, values):
    with pytest.raises(InvalidApplication) as raised:
        check(values)
    return [(e.field, e.code) for e in raised.value.errors]
