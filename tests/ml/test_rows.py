"""What ml/rows.py promises."""

import numpy as np
import pytest

from ml.product import PRODUCTS, read_product
from ml.rows import InvalidData, read_rows

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


def test_read_rows_unreadable_file_gives_one_line(product, tmp_path):
    (tmp_path / "latin.csv").write_bytes(b"loan_amount\n\xe9\xff\n")
    for file in (tmp_path, tmp_path / "none.csv", tmp_path / "latin.csv"):
        with pytest.raises(InvalidData) as raised:
            read_rows(product, file)
        assert str(raised.value).startswith(f"{file}: ")
        assert "\n" not in str(raised.value)
