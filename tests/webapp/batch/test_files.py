"""Tests of files of applications: every error by line and field, and clear words for any file."""

import pytest

from ml.product.application import Rules
from webapp.batch.files import MAX_ROWS, columns_of, read_file
from webapp.batch.records import Applications
from webapp.csv_files import InvalidFile


@pytest.fixture(scope="module")
def rules(product):
    return Rules(product)


def errors_of(data, rules):
    _, wrong = read_file(data.encode(), rules)
    return [(row.line, row.error.field, row.error.code) for row in wrong]


def test_applications_are_read_as_they_were_written(write, rules, applications):
    references = [f"A/{i}" for i in range(len(applications))]
    rows, wrong = read_file(write(applications, references).encode(), rules)
    assert wrong == []
    assert [row.submission.application for row in rows] == applications
    assert [row.submission.reference for row in rows] == references
    assert [row.line for row in rows] == list(range(2, len(applications) + 2))


def test_references_can_be_left_out(write, rules, applications):
    rows, _ = read_file(write(applications).encode(), rules)
    assert {row.submission.reference for row in rows} == {None}
    rows, _ = read_file(write(applications[:2], ["", "B"]).encode(), rules)
    assert [row.submission.reference for row in rows] == [None, "B"]


@pytest.mark.parametrize("amount", ["3000", "3 000", "3\u202f000", '"3,000"', "+3000", " 3000 "])
def test_numbers_are_read_as_on_the_form(write, rules, granted, amount):
    text = write([{**granted, "loan_amount": 3_000, "purchase_price": 9_000}])
    rows, wrong = read_file(text.replace("3000", amount, 1).encode(), rules)
    assert wrong == []
    assert rows[0].submission.application["loan_amount"] == 3_000


def test_columns_have_any_order_and_any_case(write, rules, granted):
    names, values = (line.split(",") for line in write([granted]).splitlines())
    text = "\n".join(",".join(reversed(line)) for line in ([n.upper() for n in names], values))
    rows, _ = read_file(text.encode(), rules)
    assert rows[0].submission.application == granted


def test_every_error_is_named_by_line_and_field(write, rules, granted):
    amount, price = 3_000, 4_000
    good = write([{**granted, "loan_amount": amount, "purchase_price": price}], ["A"])
    head, line = good.splitlines()
    wrong = [
        line,
        line.replace(f"{amount}", "much", 1),
        line.replace(f"{amount}", "3000.50", 1),
        line.replace(f"{amount}", "", 1),
        line.replace(f"{amount},{price}", f"{price},{amount}", 1),
        line.replace(granted["employment_type"], "pirate"),
        line.removesuffix("A") + "=1+1",
        line + ",more",
        "",
        line,
    ]
    assert line.startswith(f"{amount},{price},")
    assert errors_of("\n".join([head, *wrong]), rules) == [
        (3, "loan_amount", "integer"),
        (4, "loan_amount", "integer"),
        (5, "loan_amount", "required"),
        (6, "loan_amount", "at_most"),
        (7, "employment_type", "choice"),
        (8, "reference", "reference"),
        (9, "", "values"),
    ]


def test_all_errors_of_a_line_are_named(write, rules, granted):
    head, line = write([{**granted, "loan_amount": 1, "employment_type": "pirate"}]).splitlines()
    assert errors_of(f"{head}\n{line}", rules) == [
        (2, "loan_amount", "range"),
        (2, "employment_type", "choice"),
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda head, line: "", "Columns are missing: loan_amount, "),
        (lambda head, line: head, "has no rows"),
        (lambda head, line: f"{head}\n,,\n", "has no rows"),
        (lambda head, line: line, "There is no such column: "),
        (lambda head, line: f"{head.replace('loan_amount', 'amount')}\n{line}", "column: amount"),
        (lambda head, line: f"{head.partition(',')[2]}\n{line}", "missing: loan_amount. The"),
        (lambda head, line: f"loan_amount,{head}\n1,{line}", "twice: loan_amount."),
        (lambda head, line: head + f"\n{line}" * (MAX_ROWS + 1), "has 10001 rows"),
        (lambda head, line: f"{head}\n\0{line}", "not a text file"),
        (lambda head, line: f'{head}\n"{line}', "Line 2 is not CSV"),
    ],
)
def test_files_that_cannot_be_used_are_refused(write, rules, granted, change, reason):
    head, line = write([granted]).splitlines()
    with pytest.raises(InvalidFile) as refused:
        read_file(change(head, line).encode(), rules)
    assert reason in refused.value.text.en
    assert refused.value.text.fr != refused.value.text.en


def test_names_of_unknown_columns_are_short_and_printable(rules):
    with pytest.raises(InvalidFile) as refused:
        read_file((",".join(["x" * 500, "\x01", *map(str, range(50))])).encode(), rules)
    assert len(refused.value.text.en) < 200
    assert "\x01" not in refused.value.text.en


def test_most_rows_are_accepted(write, rules, granted):
    head, line = write([granted]).splitlines()
    rows, wrong = read_file((head + f"\n{line}" * MAX_ROWS).encode(), rules)
    assert (len(rows), wrong) == (MAX_ROWS, [])


def test_kept_applications_are_read_again(write, rules, applications):
    rows, _ = read_file(write(applications, ["A"] * len(applications)).encode(), rules)
    kept = Applications.of(rows).model_dump_json()
    assert Applications.model_validate_json(kept).read(rules) == rows


def test_columns_are_those_of_the_product(product):
    assert columns_of(product) == [*(f.name for f in product.inputs), "reference"]
