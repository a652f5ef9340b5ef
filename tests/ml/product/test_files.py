"""Tests of ml/product/files.py."""

import pytest

from ml.product.files import PRODUCTS, InvalidProduct, read_product

TEXT = (PRODUCTS / "consumer_credit.toml").read_text(encoding="utf-8")


def test_product_file_of_ones_own_is_read(tmp_path):
    file = tmp_path / "bank.toml"
    file.write_text(TEXT.replace('name = "consumer_credit"', 'name = "bank"'), encoding="utf-8")
    assert read_product(file).name == "bank"


def test_product_unknown_name_lists_the_shipped_ones():
    with pytest.raises(InvalidProduct, match=r"No such file.*consumer_credit, mortgage"):
        read_product("yacht")


def test_product_file_not_utf8_gives_one_line(tmp_path):
    file = tmp_path / "bank.toml"
    file.write_bytes(TEXT.encode("utf-16"))
    with pytest.raises(InvalidProduct, match="not UTF-8"):
        read_product(file)


@pytest.mark.parametrize("name", ["reference", "score", "schema"])
def test_product_field_cannot_have_a_reserved_name(tmp_path, name):
    file = tmp_path / "bank.toml"
    file.write_text(TEXT.replace('"assets"', f'"{name}"'), encoding="utf-8")
    with pytest.raises(InvalidProduct, match=f"cannot have the name {name}: it is reserved"):
        read_product(file)


DIRECTIONS = {
    "consumer_credit": {
        "years_in_job": "up",
        "monthly_income": "up",
        "monthly_expenses": "down",
        "assets": "up",
        "outstanding_debt": "down",
    },
    "mortgage": {
        "applicant_income_monthly": "up",
        "coapplicant_income_monthly": "up",
        "housing_expense_monthly": "down",
        "total_obligations_monthly": "down",
        "liquid_assets": "up",
        "net_worth": "up",
    },
}


@pytest.mark.parametrize("name", DIRECTIONS)
def test_product_shipped_states_the_direction_of_means_and_of_burdens(name):
    stated = {f.name: f.monotone for f in read_product(name).inputs if f.monotone}
    assert stated == DIRECTIONS[name]


def test_product_shipped_steps_are_those_of_its_offers():
    found = {
        name: {
            f.name: f.step
            for f in read_product(name).inputs
            if f.changeable and f.kind == "integer"
        }
        for name in DIRECTIONS
    }
    assert found["consumer_credit"] == {"loan_amount": 50, "loan_term_months": 6}
    assert found["mortgage"] == {"loan_amount": 1_000, "loan_term_months": 12}
