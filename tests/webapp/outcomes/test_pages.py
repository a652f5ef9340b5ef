"""Tests of the pages of outcomes: the part of a decision's page, and the upload."""

import io
import re

import pytest

from webapp.incoming import MAX_FILE_BYTES

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
FRENCH = {"Accept-Language": "fr"}


def token(text):
    return re.search(r'name="csrf_token"[^>]*value="([^"]+)"', text)[1]


def seen(page):
    return " ".join("".join(page.itertext()).split())


def totals(page):
    return [int(dd.text) for dd in page.iter("dd")]


@pytest.fixture
def send(signed_in):
    """Send the form of a decision's outcome."""

    def submit(number, headers=None, **values):
        address = f"/decisions/{number}"
        values["csrf_token"] = token(signed_in.get(address).text)
        return signed_in.post(f"{address}/outcome", data=values, headers=headers)

    return submit


@pytest.fixture
def upload(signed_in):
    """Send a file to the page of outcomes."""

    def submit(data, name="outcomes.csv", headers=None, **values):
        values["csrf_token"] = token(signed_in.get("/outcomes").text)
        if data is not None:
            values["file"] = (io.BytesIO(data.encode() if isinstance(data, str) else data), name)
        return signed_in.post("/outcomes", data=values, headers=headers)

    return submit


def test_outcome_is_recorded_and_corrected_on_the_page(
    loans, send, signed_in, read_page, history, today
):
    answer = send(loans[0], outcome="good", date=today.isoformat())
    assert (answer.status_code, answer.location) == (303, f"/decisions/{loans[0]}#outcome")
    text = seen(read_page(signed_in.get(answer.location).text))
    assert "Good: repaid as agreed known on " in text
    assert "recorded by clerk" in text
    assert send(loans[0], outcome="good", date=today.isoformat()).status_code == 303
    wrong = send(loans[0], outcome="bad", date=today.isoformat())
    assert wrong.status_code == 422
    assert "Say why the outcome is corrected." in wrong.text
    answer = send(loans[0], outcome="bad", date=today.isoformat(), reason="dispute")
    assert answer.status_code == 303
    text = seen(read_page(signed_in.get(answer.location).text))
    assert "Bad: not repaid as agreed" in text
    assert "correction: The customer disputed it, and was right" in text
    assert "One earlier outcome" in text
    assert [row[2:] for row in history()] == [
        ("good", today.isoformat(), None),
        ("bad", today.isoformat(), "dispute"),
    ]


@ON_ONE
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"date": "2026-01-01"}, "Choose one of the answers."),
        ({"outcome": "fair", "date": "{today}"}, "Choose one of the answers."),
        ({"outcome": "good"}, "Enter a date."),
        ({"outcome": "good", "date": "01/02/2026"}, "Enter a date."),
        ({"outcome": "good", "date": "9998-01-01"}, "The date is in the future."),
        ({"outcome": "good", "date": "2000-01-01"}, "The date is before the decision"),
        ({"outcome": "good", "date": "{today}", "reason": "x"}, "Choose one of the answers."),
        ({"outcome": "good", "date": "{today}", "reason": "mistake"}, "no outcome to correct"),
    ],
)
def test_what_is_wrong_is_said_beside_the_field(loans, send, history, today, values, message):
    answer = send(loans[0], **{n: v.format(today=today) for n, v in values.items()})
    assert answer.status_code == 422
    assert message in answer.text or "reason" in values  # the page has no field for it yet
    assert "<details open>" in answer.text
    assert history() == []


@ON_ONE
def test_only_granted_loans_have_the_form(loans, signed_in, send, history, today):
    assert "Record what came of this loan" in signed_in.get(f"/decisions/{loans[0]}").text
    assert "Record what came of this loan" not in signed_in.get(f"/decisions/{loans[3]}").text
    assert send(loans[3], outcome="good", date=today.isoformat()).status_code == 422
    assert signed_in.get(f"/decisions/{loans[0]}/outcome").status_code == 302
    assert send(loans[0]).status_code == 422
    assert history() == []


@ON_ONE
def test_outcome_of_an_erased_decision(loans, send, signed_in, query, history, today):
    query(f"DELETE FROM decision_contents WHERE decision_id = {loans[0]}")
    assert send(loans[0], outcome="bad", date=today.isoformat()).status_code == 303
    assert "Bad: not repaid as agreed" in signed_in.get(f"/decisions/{loans[0]}").text
    assert len(history()) == 1


@ON_ONE
def test_form_needs_a_token_and_a_decision(loans, signed_in, client, history):
    assert signed_in.post(f"/decisions/{loans[0]}/outcome", data={}).status_code == 400
    data = {"csrf_token": token(signed_in.get("/outcomes").text)}
    assert signed_in.post("/decisions/999/outcome", data=data).status_code == 404
    assert signed_in.post("/outcomes", data={}).status_code == 400
    assert history() == []


def test_file_is_checked_and_recorded(loans, upload, read_page, history, today):
    text = f"id,outcome,date\n{loans[0]},good,{today}\n{loans[1]},bad,{today}\n"
    checked = upload(text, check="yes")
    assert checked.status_code == 200
    assert "The file is in order. 2 outcomes would be recorded." in seen(read_page(checked.text))
    assert history() == []
    assert "2 outcomes were recorded." in upload(text).text
    page = read_page(upload(text + f"{loans[2]},bad,{today}\n").text)
    assert "One outcome was recorded. 2 are known already." in seen(page)
    assert totals(page) == [3, 1, 2, 0]  # granted, good, bad, not known yet
    assert len(history()) == 3


@ON_ONE
def test_wrong_files(loans, upload, signed_in, read_page, history):
    answer = upload(f"id,outcome,date\n{loans[0]},good,x\n999,bad,2026-01-01\n")
    assert answer.status_code == 303
    page = " ".join(" ".join(read_page(signed_in.get(answer.location).text).itertext()).split())
    assert "outcomes.csv Nothing was stored. 2 lines of the file are wrong." in page
    assert "2 date Enter a date as YYYY-MM-DD." in page
    assert "3 id There is no decision with this number." in page
    for data, message in ((b"\xff", "not a text file in UTF-8"), (b"", "must name the columns")):
        answer = upload(data)
        assert (answer.status_code, message in answer.text) == (422, True)
    empty = upload(b"", name="")
    assert (empty.status_code, "Choose a file." in empty.text) == (422, True)
    assert upload(None).status_code == 400
    assert history() == []


@ON_ONE
def test_large_files_are_accepted_only_here(loans, signed_in, history, today):
    text = f"id,outcome,date\r\n{loans[0]},good,{today}\r\n"
    # By hand: the test client would leave a temporary file open.
    form = (
        '--x\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n'
        f"{token(signed_in.get('/outcomes').text)}\r\n--x\r\nContent-Disposition: form-data; "
        f'name="file"; filename="a.csv"\r\n\r\n{text}{{}}\r\n--x--\r\n'
    )
    kind = "multipart/form-data; boundary=x"
    for size, status in ((MAX_FILE_BYTES - 2_000, 200), (MAX_FILE_BYTES, 413)):
        answer = signed_in.post("/outcomes", data=form.format("\n" * size), content_type=kind)
        assert answer.status_code == status
    assert len(history()) == 1
    data = {"csrf_token": "x", "more": "x" * 70_000}
    assert signed_in.post(f"/decisions/{loans[0]}/outcome", data=data).status_code == 413


@ON_ONE
def test_page_before_anything_is_recorded(signed_in, read_page):
    page = read_page(signed_in.get("/outcomes").text)
    assert totals(page) == [0, 0, 0, 0]
    assert "No outcome has been recorded yet." in seen(page)
    template = signed_in.get("/outcomes/template.csv")
    assert template.mimetype == "text/csv"
    assert template.text == "\ufeffid,reference,outcome,date,reason\r\n"


@ON_ONE
def test_damaged_outcomes_are_shown_as_such(loans, record, signed_in, tamper):
    record(loans[0], "good")
    tamper("known_on = 'never'", 1, table="outcomes")
    for address in ("/outcomes", f"/decisions/{loans[0]}"):
        answer = signed_in.get(address)
        assert (answer.status_code, "Damaged row" in answer.text) == (200, True)
