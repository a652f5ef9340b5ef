"""Tests of ml/training/dataset.py."""

import numpy as np
import pytest

from ml.product.definition import Product
from ml.product.errors import InvalidData
from ml.product.files import PRODUCTS, read_product
from ml.training.dataset import read_rows

SHIPPED = sorted(path.stem for path in PRODUCTS.glob("*.toml"))
LEFT_OUT = {
    "consumer_credit": {"employment_type": 2, "home_status": 5},  # one row lacks both
    "mortgage": {
        "loan_term_months": 3,
        "credit_lines": 1,
        "credit_history_meets_guidelines": 2,
        "repeated": 1,
    },
}


@pytest.mark.parametrize("name", SHIPPED)
def test_read_rows_of_the_shipped_data(name):
    product = read_product(name)
    rows = read_rows(product, product.data_file)
    assert list(rows.fields) == list(product.by_name)
    assert list(rows.protected) == [f.name for f in product.protected]
    assert rows.left_out == LEFT_OUT[name]
    in_file = len(product.data_file.read_text(encoding="utf-8").splitlines()) - 1
    assert len(rows.good) == in_file - sum(rows.left_out.values())
    assert len(rows.fields) == len(rows.protected) == len(rows.good)
    assert set(rows.good) == {0, 1}
    assert rows.good.dtype == np.int64
    for field in product.inputs:
        column = rows.fields[field.name]
        assert column.dtype == (object if field.kind == "choice" else column.dtype)
        assert field.optional or column.notna().all()


@pytest.fixture
def given(product, tmp_path):
    """Write rows to a CSV file with the product's columns, and return the file."""

    def write(*rows, header=None, separator=",", encoding="utf-8"):
        columns = header or [*product.by_name, "protected_age", product.target]
        lines = [separator.join(columns)]
        lines += [separator.join(str(row.get(c, "")) for c in columns) for row in rows]
        file = tmp_path / "rows.csv"
        file.write_bytes("\n".join(lines).encode(encoding))
        return file

    return write


ROW = {
    "loan_amount": 6000,
    "purchase_price": 8000,
    "loan_term_months": 36,
    "employment_type": "permanent",
    "years_in_job": 3,
    "monthly_income": 1500,
    "monthly_expenses": 400,
    "home_status": "renting",
    "assets": 0,
    "outstanding_debt": 0,
    "adverse_credit_record": 0,
    "protected_age": 40,
    "eligible": 1,
}
OTHER = ROW | {"loan_amount": 5000}


def test_read_rows_of_a_few_lines(product, given):
    row = ROW | {"loan_amount": "6,000", "employment_type": " permanent ", "assets": ""}
    file = given(row | {"loan_amount": '"6,000"'}, OTHER, encoding="utf-8-sig")
    rows = read_rows(product, file)
    assert rows.fields["loan_amount"].tolist() == [6000, 5000]
    assert rows.fields["employment_type"].tolist() == ["permanent"] * 2
    assert rows.fields["assets"].isna().tolist() == [True, False]
    assert rows.protected.to_dict("list") == {"protected_age": [40, 40]}
    assert rows.left_out == {}


EMPLOYMENTS = (
    "Choose one of: Permanent (permanent), Temporary (temporary), Self-employed (self_employed), "
    "Other (other)."
)
# Among them are cells that the reader of pandas accepts silently: a decimal read as a whole number
# or truncated, a flag of 2, negative years, a sentinel, a choice in capitals or read as missing.
CELLS = {
    ("loan_amount", "8.240"): "Enter a whole number.",
    ("monthly_income", "20.9"): "Enter a whole number.",
    ("loan_amount", "much"): "Enter a whole number.",
    ("loan_amount", "inf"): "Enter a whole number.",
    ("loan_amount", "nan"): "Enter a whole number.",
    ("assets", "NA"): "Enter a whole number.",
    ("adverse_credit_record", "2"): "Answer 1 for yes or 0 for no.",
    ("adverse_credit_record", ".5"): "Answer 1 for yes or 0 for no.",
    ("adverse_credit_record", "true"): "Answer 1 for yes or 0 for no.",
    ("years_in_job", "-1"): "Enter a whole number from 0 to 50.",
    ("monthly_income", "999999"): "Enter a whole number from 1 to 10,000.",
    ("loan_amount", ""): "Enter a value.",
    ("loan_amount", "9000"): "Must not be more than “Purchase price”.",
    ("employment_type", "PERMANENT"): EMPLOYMENTS,
    ("employment_type", "null"): EMPLOYMENTS,
    ("protected_age", "17"): "Enter a whole number from 18 to 100.",
    ("protected_age", "old"): "Enter a whole number.",
    ("eligible", "2"): "Enter 1 for good or 0 for bad.",
    ("eligible", ""): "Enter 1 for good or 0 for bad.",
    ("eligible", "good"): "Enter 1 for good or 0 for bad.",
}


@pytest.mark.parametrize(("column", "cell"), CELLS)
def test_read_rows_names_line_and_column_of_a_wrong_cell(product, given, column, cell):
    file = given(OTHER, ROW | {column: cell})
    with pytest.raises(InvalidData) as raised:
        read_rows(product, file)
    assert str(raised.value) == f"{file}, line 3, column {column}: {CELLS[column, cell]}"


def test_read_rows_counts_the_other_wrong_cells(product, given):
    file = given(ROW | {"years_in_job": "x"}, ROW | {"years_in_job": "y", "assets": "-1"})
    with pytest.raises(InvalidData, match=r"line 2, column years_in_job: .* And 2 more\.$"):
        read_rows(product, file)


def with_choice(product, *words):
    """Return the product with other choices of employment, which is optional."""
    definition = product.model_dump(exclude_defaults=True)
    label = {"en": "Any", "fr": "Quelconque"}
    for field in definition["fields"]:
        if field["name"] == "employment_type":
            field |= {"choices": [{"value": w, "label": label} for w in words], "optional": True}
            field["reasons"] = {}
    return Product.model_validate({**definition, "rows": {}})


def test_read_rows_takes_words_as_they_are(product, given):
    words = ("true", "false", "nan", "null", "none")
    file = given(*[ROW | {"employment_type": w, "assets": i} for i, w in enumerate(words)])
    rows = read_rows(with_choice(product, *words), file)
    assert rows.fields["employment_type"].tolist() == [*words]


def test_rows_constant_are_the_fields_whose_values_a_model_cannot_compare(product, given):
    """An empty number has an indicator, but an empty choice counts as the most frequent one."""
    product = with_choice(product, "permanent", "other")
    first = ROW | {"outstanding_debt": ""}
    rows = read_rows(product, given(first, OTHER | {"employment_type": ""}))
    assert set(rows.constant) == set(product.by_name) - {"loan_amount", "outstanding_debt"}
    rows = read_rows(product, given(ROW, ROW | {"employment_type": "other"}))
    assert set(rows.constant) == set(product.by_name) - {"employment_type"}


def test_read_rows_repeated(product, given):
    file = given(ROW, OTHER, ROW)
    with pytest.raises(InvalidData) as raised:
        read_rows(product, file)
    assert str(raised.value) == f"{file}, line 4: repeats line 2."
    definition = product.model_dump(exclude_defaults=True)
    for policy, count, left_out in (("leave_out", 2, {"repeated": 1}), ("keep", 3, {})):
        lenient = Product.model_validate({**definition, "rows": {"repeated": policy}})
        rows = read_rows(lenient, file)
        assert (len(rows.good), rows.left_out) == (count, left_out)


def test_read_rows_leaves_out_what_the_product_says(product, given):
    file = given(ROW, ROW | {"home_status": ""}, ROW | {"employment_type": "", "home_status": ""})
    rows = read_rows(product, file)
    assert len(rows.good) == len(rows.fields) == len(rows.protected) == 1
    assert rows.left_out == {"home_status": 1, "employment_type": 1}
    with pytest.raises(InvalidData, match="no rows"):
        read_rows(product, given(ROW | {"home_status": ""}))


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_read_rows_names_a_wrong_separator(product, given, separator):
    with pytest.raises(InvalidData) as raised:
        read_rows(product, given(ROW, separator=separator))
    assert f"separated by {separator!r} instead of commas" in str(raised.value)


@pytest.mark.parametrize("column", ["assets", "protected_age", "eligible"])
def test_read_rows_refuses_a_doubled_column(product, given, column):
    with pytest.raises(InvalidData, match=f"more than one column {column}$"):
        read_rows(product, given(ROW, header=[*ROW, column]))


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
    assert str(raised.value).startswith(str(file))
    assert "\n" not in str(raised.value)


def test_read_unreadable_file_gives_one_line(product, tmp_path):
    (tmp_path / "latin.csv").write_bytes(b"loan_amount\n\xe9\xff\n")
    for file in (tmp_path, tmp_path / "none.csv", tmp_path / "latin.csv"):
        with pytest.raises(InvalidData) as raised:
            read_rows(product, file)
        assert str(raised.value).startswith(f"{file}: ")
        assert "\n" not in str(raised.value)


def test_protected_columns_may_be_absent_or_empty(product, given):
    row = ROW | {"protected_marital_status": "single"}
    file = given(row, OTHER | {"protected_age": ""}, header=[*reversed(row)])
    protected = read_rows(product, file).protected
    assert list(protected) == ["protected_age", "protected_marital_status"]
    assert protected.isna().to_numpy().tolist() == [[False, False], [True, True]]
    without = read_rows(product, given(ROW, header=[*product.by_name, product.target])).protected
    assert without.shape == (1, 0)
