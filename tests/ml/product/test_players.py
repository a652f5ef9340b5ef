"""Tests of Product.players: single fields, and fields that a ratio combines."""

import pytest

from ml.product.files import PRODUCTS, parse_product, read_product

SHIPPED = sorted(path.stem for path in PRODUCTS.glob("*.toml"))
TEXT = (PRODUCTS / "consumer_credit.toml").read_text(encoding="utf-8")


def test_product_players_are_the_fields_and_one_block_for_the_ratio(product):
    block = ("loan_amount", "purchase_price", "loan_to_price")
    others = [f.name for f in product.inputs if f.name not in block]
    assert product.players == {"loan_to_price": block, **{name: (name,) for name in others}}
    assert list(product.players) == ["loan_to_price", *others]


def test_product_players_without_a_ratio_are_the_fields():
    product = read_product("mortgage")
    assert product.players == {f.name: (f.name,) for f in product.inputs}


def with_ratios(*over):
    """Return the product with more ratios, each of its first field over the others."""
    more = "".join(
        f"""
[[ratios]]
name = "r{number}"
label = {{ en = "Ratio", fr = "Ratio" }}
sum = {{ {names[0]} = 1 }}
over = [{", ".join(f'"{name}"' for name in names[1:])}]
minimum = 0.0
maximum = 9.0
"""
        for number, names in enumerate(over)
    )
    return parse_product(TEXT + more, source="bank.toml")


def test_product_players_of_ratios_that_share_a_field_are_one():
    product = with_ratios(("loan_amount", "loan_term_months", "monthly_income"))
    assert product.players["loan_to_price"] == (
        *("loan_amount", "purchase_price", "loan_term_months", "monthly_income"),
        *("loan_to_price", "r0"),
    )
    assert "r0" not in product.players
    assert len(product.players) == 8


def test_product_players_of_ratios_apart_are_two():
    product = with_ratios(("outstanding_debt", "assets"))
    assert product.players["loan_to_price"] == ("loan_amount", "purchase_price", "loan_to_price")
    assert product.players["r0"] == ("assets", "outstanding_debt", "r0")
    assert len(product.players) == 9


def test_product_players_of_blocks_that_a_later_ratio_joins_are_one():
    product = with_ratios(("outstanding_debt", "assets"), ("assets", "purchase_price"))
    assert product.players["loan_to_price"] == (
        *("loan_amount", "purchase_price", "assets", "outstanding_debt"),
        *("loan_to_price", "r0", "r1"),
    )
    assert len(product.players) == 8


@pytest.mark.parametrize("name", SHIPPED)
def test_product_players_share_out_every_field_and_ratio_once(name):
    product = read_product(name)
    shared = [member for player in product.players.values() for member in player]
    assert sorted(shared) == sorted([*product.by_name, *(r.name for r in product.ratios)])
    assert all(player in members for player, members in product.players.items())
