"""Tests of the page of a refused file: every error, in both languages, for its sender only."""

import csv
import io

import pytest

from ml.product.errors import FieldError
from ml.product.texts import Text
from tests.fixtures.databases import add_user
from webapp.csv_files import WrongRow
from webapp.ledger.transaction import unit_of_work
from webapp.uploads.service import keep_refused

ERROR = FieldError("date", "date", Text(en="Enter a date.", fr="Indiquez une date."))
OTHER = FieldError("id", "id", Text(en="Enter an id.", fr="Indiquez un id."))
FRENCH = {"Accept-Language": "fr"}


@pytest.fixture
def refuse(app, operator):
    """Keep the errors of a file of the clerk's, and return its number."""

    def keep(wrong, name="june.csv"):
        with app.app_context(), unit_of_work() as transaction:
            return keep_refused(transaction, wrong, kind="outcomes", name=name, operator=operator)

    return keep


def seen(page):
    return " ".join(" ".join(page.itertext()).split())


def test_errors_are_shown_by_line_and_column(refuse, signed_in, read_page):
    number = refuse([WrongRow(2, ERROR), WrongRow(2, OTHER), WrongRow(1_003, ERROR)])
    page = seen(read_page(signed_in.get(f"/uploads/{number}").text))
    assert "june.csv Nothing was stored. 2 lines of the file are wrong." in page
    assert "2 date Enter a date. 2 id Enter an id. 1,003 date Enter a date." in page
    french = signed_in.get(f"/uploads/{number}", headers=FRENCH).text
    assert "Indiquez une date." in french


def test_all_errors_are_downloaded(refuse, signed_in, read_page):
    number = refuse([WrongRow(line, ERROR) for line in range(2, 1_002)])
    page = read_page(signed_in.get(f"/uploads/{number}").text)
    assert "The first 200 of 1,000 errors are shown." in seen(page)
    assert len(list(page.iter("tr"))) == 201
    for headers, delimiter, message in (
        ({}, ",", "Enter a date."),
        (FRENCH, ";", "Indiquez une date."),
    ):
        text = signed_in.get(f"/uploads/{number}/errors.csv", headers=headers).text
        head, *rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        assert len(head) == 3
        assert rows == [[str(line), "date", message] for line in range(2, 1_002)]


def test_name_of_the_file_is_escaped(refuse, signed_in, read_page):
    number = refuse([WrongRow(2, ERROR)], name="<b>june</b>.csv")
    text = signed_in.get(f"/uploads/{number}").text
    assert "<b>" not in text
    assert "<b>june</b>.csv" in seen(read_page(text))


def test_nobody_else_sees_them(app, refuse, signed_in, client, sign_in):
    number = refuse([WrongRow(2, ERROR)])
    with app.app_context():
        add_user("other", "correct horse battery")
    other = sign_in(app.test_client(), "other")
    for address in (f"/uploads/{number}", f"/uploads/{number}/errors.csv"):
        assert signed_in.get(address).status_code == 200
        assert other.get(address).status_code == 404
    assert signed_in.get("/uploads/999").status_code == 404


def test_they_are_deleted_after_a_day(refuse, query, signed_in):
    first = refuse([WrongRow(2, ERROR)])
    query("UPDATE refused_files SET created_at = '2026-01-01 00:00:00.000000'")
    second = refuse([WrongRow(2, ERROR)])
    assert query("SELECT count(*) FROM refused_files") == [(1,)]
    assert signed_in.get(f"/uploads/{second}").status_code == 200
    assert first == second or signed_in.get(f"/uploads/{first}").status_code == 404
