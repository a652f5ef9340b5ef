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
