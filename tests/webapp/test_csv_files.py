"""Tests of CSV files: what spreadsheets write is read, and nothing that is written is a formula."""

import csv
import io

import pytest

from webapp.csv_files import InvalidFile, Table, download, file_name, read_csv

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_spreadsheets_write_is_read(delimiter, start, end):
    lines = ["Id|Amount ", '1|"12|000"', "||", " 2 |é", "", '3|"say ""yes"""', ""]
    text = end.join(lines).replace("|", delimiter)
    assert read_csv(start + text.encode()) == Table(
        ["id", "amount"],
        [(2, ["1", f"12{delimiter}000"]), (4, ["2", "é"]), (6, ["3", 'say "yes"'])],
    )


def test_lines_are_counted_as_a_spreadsheet_counts_them():
    table = read_csv(b'a,b\n"1\n2",x\n3,y\n')
    assert table.rows == [(2, ["1\n2", "x"]), (3, ["3", "y"])]


@pytest.mark.parametrize(
    "data", [b"a,b,,\n1,2,,\n3,4\n", b"a,b\n1,2,,,\n3,4,\n", b"a,b,\n1,2\n3,4\n"]
)
def test_empty_ends_of_lines_are_left_out(data):
    assert read_csv(data) == Table(["a", "b"], [(2, ["1", "2"]), (3, ["3", "4"])])


def test_ends_of_lines_with_a_value_are_kept():
    table = read_csv(b"a,b,,\n1,2,,\n3,4,,x\n")
    assert table == Table(["a", "b"], [(2, ["1", "2"]), (3, ["3", "4", "", "x"])])


@pytest.mark.parametrize("data", [b"\xff\xfea\0", b"a,b\n1,\0\n", "é".encode("latin-1")])
def test_what_is_not_text_is_refused(data):
    with pytest.raises(InvalidFile, match="not a text file in UTF-8"):
        read_csv(data)


@pytest.mark.parametrize("data", [b'a,b\n1,"x\n', b'a,b\n1,"x"y\n', b"a,b\n1," + b"1" * 200_000])
def test_what_is_not_csv_is_refused(data):
    with pytest.raises(InvalidFile, match="Line 2 is not CSV"):
        read_csv(data)


@pytest.mark.parametrize("data", [b"", b"\n", b"\r\n\r\n"])
def test_empty_files_have_no_columns_and_no_rows(data):
    assert read_csv(data) == Table([], [])


@ON_ONE
@pytest.mark.parametrize(
    ("language", "delimiter", "number"), [("en", ",", "2.5"), ("fr", ";", "2,5")]
)
def test_what_is_downloaded_has_no_formula(app, language, delimiter, number):
    texts = ("=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "\uff1d1", "\uff201")
    rows = [(*texts, -1, 2.5, None, 'a"b', "safe")]
    with app.test_request_context(headers={"Accept-Language": language}):
        answer = download(rows, name="rows.csv")
    assert answer.headers["Content-Disposition"] == "attachment; filename=rows.csv"
    assert answer.data.startswith(b"\xef\xbb\xbf")
    text = answer.data.decode("utf-8-sig")
    [row] = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    assert row == [*(f"'{text}" for text in texts), "-1", number, "", 'a"b', "safe"]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("june.csv", "june.csv"),
        ("C:\\files\\june.csv", "june.csv"),
        ("../../etc/passwd", "passwd"),
        ("a\nb\u202e.csv", "a?b?.csv"),
        ("juin\u00a02026 à 10.30\u202fh.csv", "juin 2026 à 10.30 h.csv"),
        ("é" * 500, "é" * 120),
    ],
)
def test_names_of_files_are_short_and_printable(given, shown):
    assert file_name(given) == shown
