"""What ml/training/dataset.py promises."""

import numpy as np
import pytest

from ml.product.application import InvalidData
from ml.product.definition import PRODUCTS, read_product
from ml.training.dataset import read_protected, read_rows

SHIPPED = sorted(path.stem for path in PRODUCTS.glob("*.toml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_read_rows_of_the_shipped_data(name):
    product = read_product(name)
    fields, good = read_rows(product, product.data_file)
    assert list(fields) == list(product.by_name)
    assert fields.shape == (len(good), len(product.inputs))
    assert set(good) == {0, 1}
    assert good.dtype == np.int64


def lines(product):
    return product.data_file.read_text(encoding="utf-8").splitlines()[:4]


BROKEN = {
    "empty file": lambda rows: [],
    "header alone": lambda rows: rows[:1],
    "ragged": lambda rows: [*rows[:2], rows[2] + ",1,2,3"],
    "no target": lambda rows: [row.rsplit(",", 1)[0] for row in rows],
    "no amount": lambda rows: [row.split(",", 1)[1] for row in rows],
    "word for a number": lambda rows: [*rows[:2], "much" + rows[2][rows[2].index(",") :]],
    "infinite": lambda rows: [*rows[:2], "inf" + rows[2][rows[2].index(",") :]],
    "target 2": lambda rows: [*rows[:2], rows[2][:-1] + "2"],
    "target empty": lambda rows: [*rows[:2], rows[2][:-1]],
    "target a word": lambda rows: [*rows[:2], rows[2][:-1] + "good"],
    "open quote": lambda rows: [*rows[:2], '"' + rows[2]],
}


@pytest.mark.parametrize("case", BROKEN)
def test_read_rows_broken_file_gives_one_line(product, tmp_path, case):
    file = tmp_path / "rows.csv"
    file.write_text("\n".join(BROKEN[case](lines(product))), encoding="utf-8")
    with pytest.raises(InvalidData) as raised:
        read_rows(product, file)
    assert str(raised.value).startswith(f"{file}: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("read", [read_rows, read_protected])
def test_read_unreadable_file_gives_one_line(product, tmp_path, read):
    (tmp_path / "latin.csv").write_bytes(b"loan_amount\n\xe9\xff\n")
    for file in (tmp_path, tmp_path / "none.csv", tmp_path / "latin.csv"):
        with pytest.raises(InvalidData) as raised:
            read(product, file)
        assert str(raised.value).startswith(f"{file}: ")
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", SHIPPED)
def test_read_protected_of_the_shipped_data(name):
    product = read_product(name)
    frame = read_protected(product, product.data_file)
    assert list(frame) == [f.name for f in product.protected]
    assert len(frame) == len(read_rows(product, product.data_file)[1])


def test_read_protected_returns_what_the_file_has_in_the_product_s_order(product, tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("protected_marital_status,loan_amount,protected_age\n,1,\nsingle,2,18\n")
    frame = read_protected(product, file)
    assert list(frame) == ["protected_age", "protected_marital_status"]
    assert frame.isna().to_numpy().tolist() == [[True, True], [False, False]]
    file.write_text("loan_amount\n1\n2\n")
    assert read_protected(product, file).shape == (2, 0)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("protected_race", "green", "none of white, black, hispanic"),
        ("protected_race", "1", "none of white, black, hispanic"),
        ("protected_married", "2", "none of 0, 1"),
        ("protected_married", "yes", "none of 0, 1"),
        ("protected_dependents", "many", "no whole number from 0 to 20"),
        ("protected_dependents", "inf", "no whole number from 0 to 20"),
        ("protected_dependents", "1.5", "no whole number from 0 to 20"),
        ("protected_dependents", "99", "no whole number from 0 to 20"),
    ],
)
def test_read_protected_value_that_its_field_does_not_allow(tmp_path, column, value, words):
    file = tmp_path / "rows.csv"
    file.write_text(f"{column},other\n,1\n{value},1\n")
    with pytest.raises(InvalidData) as raised:
        read_protected(read_product("mortgage"), file)
    assert str(raised.value) == f"{file}: column {column} holds something that is {words}"


@pytest.mark.parametrize("text", ["", "protected_age\n"])
def test_read_protected_empty_file_gives_one_line(product, tmp_path, text):
    file = tmp_path / "rows.csv"
    file.write_text(text)
    with pytest.raises(InvalidData, match=r"(?i)rows\.csv: no "):
        read_protected(product, file)
