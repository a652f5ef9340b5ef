"""Tests of the pages of batches: checked first, decided all or none, once, and downloaded."""

import re
from decimal import Decimal

import pytest

from tests.fixtures.databases import PASSWORD, add_user
from webapp.desk.service import switch
from webapp.incoming import MAX_BATCH_BYTES
from webapp.ledger.transaction import unit_of_work

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
FRENCH = {"Accept-Language": "fr"}


def seen(page):
    return " ".join(" ".join(page.itertext()).split())


def figures(page):
    return [int(dd.text) for dd in page.iter("dd") if dd.get("class") == "number"]


def test_file_is_checked_and_then_decided(
    write, applications, upload, act, signed_in, until, read_page, query, result
):
    references = [f"A/{i}" for i in range(len(applications))]
    sent = upload(write(applications, references))
    assert (sent.status_code, sent.location) == (303, "/batches/1")
    page = seen(read_page(signed_in.get("/batches/1").text))
    assert "june.csv" in page
    assert f"Decide {len(applications)} applications" in page
    assert query("SELECT count(*) FROM decisions") == [(0,)]
    assert "june.csv" in seen(read_page(signed_in.get("/batches").text))
    assert act("/batches/1", "decide").status_code == 303
    until(lambda: query("SELECT count(*) FROM batches") == [(1,)])
    decided = query(
        "SELECT d.id, d.decision, d.channel, o.name, d.probability, l.line, c.reference "
        "FROM batch_decisions l JOIN decisions d ON d.id = l.decision_id "
        "JOIN decision_contents c ON c.decision_id = d.id "
        "JOIN operators o ON o.id = d.operator_id ORDER BY l.line"
    )
    assert [row[6] for row in decided] == references
    assert {row[2:4] for row in decided} == {("batch", "clerk")}
    counts = [sum(row[1] == kind for row in decided) for kind in ("granted", "refused", "referred")]
    page = read_page(signed_in.get("/batches/1").text)
    assert figures(page) == [len(applications), *counts]
    head, *rows = result("/batches/1")
    names = ["Line", "Reference", "No.", "Decision", "Final word", "Probability"]
    assert head[: len(names)] == names
    for (number, decision, _, _, probability, line, reference), row in zip(
        decided, rows, strict=True
    ):
        final = "" if decision == "referred" else decision
        assert row[:5] == [str(line), reference, str(number), decision, final]
        assert abs(Decimal(row[5]) - Decimal(probability)) <= Decimal("0.00005")
        assert bool(row[6]) == (decision != "granted")
    assert {len(row) for row in rows} == {len(head)}


def test_counts_and_log_are_those_of_the_table(app, write, applications, decide, query):
    decide(write(applications))
    assert query(
        "SELECT decision, sum(count) FROM decision_counts WHERE channel = 'batch' GROUP BY 1 "
        "ORDER BY 1"
    ) == query("SELECT decision, count(*) FROM decisions GROUP BY 1 ORDER BY 1")
    [(entries,)] = query("SELECT count(*) FROM audit_log WHERE event = 'decision.made'")
    assert entries == len(applications)
    assert query(
        "SELECT subject, o.name FROM audit_log JOIN operators o ON o.id = operator_id "
        "WHERE event = 'batch.decided'"
    ) == [("batch:1", "clerk")]
    assert query("SELECT applications FROM checked_files") == [(None,)]
    done = app.test_cli_runner().invoke(args=["audit", "verify", "--contents"])
    assert (done.exit_code, "all well" in done.stdout) == (0, True)


def test_changed_batch_is_found(app, write, granted, decide, tamper):
    decide(write([granted]))
    tamper("rows = 2", 1, table="batches")
    done = app.test_cli_runner().invoke(args=["audit", "verify", "--contents"])
    assert done.exit_code == 1
    assert "batch 1: its facts are not those of its entry" in done.stdout


def test_batch_is_referred_while_the_desk_refers_everything(
    app, operator, write, applications, decide, signed_in, read_page, result, query
):
    with app.app_context(), unit_of_work() as transaction:
        switch(transaction, referring=True, reason="a fault in the model", operator=operator)
    count = len(applications)
    address = decide(write(applications))
    assert figures(read_page(signed_in.get(address).text)) == [count, 0, 0, count]
    assert query("SELECT count(*) FROM reviews WHERE closed_at IS NULL") == [(count,)]
    rows = result(address)[1:]
    assert {row[3] for row in rows} == {"referred"}
    assert all("Every application is referred to a person at present" in row for row in rows)


def test_lines_with_one_reference_are_tries_of_one_customer(write, granted, decide, query):
    decide(write([granted] * 5, ["A"] * 5))
    [(tries,)] = query("SELECT count(*) FROM decisions WHERE decision = 'referred'")
    assert tries == 2
    assert query("SELECT DISTINCT basis FROM decisions WHERE decision = 'referred'") == [("tries",)]


def test_wrong_lines_are_named_and_nothing_is_stored(
    write, applications, upload, signed_in, read_page, query
):
    head, *lines = write(applications).splitlines()
    lines[3] = lines[3].replace(lines[3].partition(",")[0], "much", 1)
    sent = upload("\n".join([head, *lines]))
    assert sent.status_code == 303
    page = seen(read_page(signed_in.get(sent.location).text))
    assert "One line of the file is wrong." in page
    assert "5 loan_amount Enter a whole number." in page
    assert query("SELECT count(*) FROM checked_files") == [(0,)]
    assert query("SELECT count(*) FROM decisions") == [(0,)]
    french = seen(read_page(signed_in.get(sent.location, headers=FRENCH).text))
    assert "5 loan_amount Indiquez un nombre entier." in french


@ON_ONE
def test_files_that_cannot_be_read(upload, signed_in, token, query):
    for data, message in (
        (b"", "Columns are missing"),
        (b"\xff", "not a text file"),
        (b"PK\x03\x04\0", "not a text file"),
        (b"loan_amount\n1\n", "Columns are missing"),
    ):
        answer = upload(data, name="<b>x</b>.csv")
        assert (answer.status_code, message in answer.text) == (422, True)
        assert "<b>" not in answer.text
    empty = upload(b"", name="")
    assert (empty.status_code, "Choose a file." in empty.text) == (422, True)
    page = token(signed_in.get("/batches").text)
    assert signed_in.post("/batches", data={"csrf_token": page}).status_code == 400
    assert signed_in.post("/batches", data={}).status_code == 400
    assert query("SELECT count(*) FROM checked_files") == [(0,)]


@ON_ONE
def test_larger_files_are_refused(signed_in, token, write, applications, query):
    # By hand: the test client would leave a temporary file open.
    form = (
        '--x\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n'
        f"{token(signed_in.get('/batches').text)}\r\n--x\r\nContent-Disposition: form-data; "
        f'name="file"; filename="a.csv"\r\n\r\n{write(applications)}{{}}\r\n--x--\r\n'
    )
    kind = "multipart/form-data; boundary=x"
    for size, status in ((MAX_BATCH_BYTES - 20_000, 303), (MAX_BATCH_BYTES, 413)):
        answer = signed_in.post("/batches", data=form.format("\n" * size), content_type=kind)
        assert answer.status_code == status
    assert "It can have up to 5 MB." in answer.text
    assert query("SELECT count(*) FROM checked_files") == [(1,)]


def test_same_form_is_kept_once(write, applications, upload, query):
    text = write(applications)
    first = upload(text, submission="a" * 32)
    again = upload(text, submission="a" * 32)
    other = upload(text, submission="b" * 32)
    corrected = upload(write(applications[1:]), submission="a" * 32)
    assert first.location == again.location
    assert len({first.location, other.location, corrected.location}) == 3
    assert query("SELECT count(*) FROM checked_files") == [(3,)]


def test_same_file_again_is_said_to_be_decided_before(
    app, write, granted, decide, upload, act, sign_in, read_page, signed_in, query
):
    def page_of(text, browser=signed_in):
        return seen(read_page(browser.get(upload(text, browser=browser).location).text))

    text, warning = write([granted]), "The same file has been decided before: batch"
    assert warning not in page_of(text)
    decided = decide(text)
    number = decided.rpartition("/")[2]
    assert f"{warning} {number} (clerk, " in page_of(text)
    assert warning not in page_of(write([granted], ["A"]))
    with app.app_context():
        add_user("other", PASSWORD, ["clerk"])
    assert f"{warning} {number} (clerk, " in page_of(text, sign_in(app.test_client(), "other"))
    [(decision,)] = query("SELECT id FROM decisions")
    done = app.test_cli_runner().invoke(args=["erase", "--decision", str(decision)])
    assert done.exit_code == 0, done.output
    assert warning not in page_of(text)


def test_two_clicks_decide_once(write, applications, upload, act, until, query, signed_in):
    address = upload(write(applications)).location
    for _ in range(3):
        assert act(address, "decide").status_code == 303
    until(lambda: query("SELECT count(*) FROM batches") == [(1,)])
    assert act(address, "decide").status_code == 303
    assert act(address, "discard").status_code == 303
    assert query("SELECT count(*) FROM decisions") == [(len(applications),)]
    assert "Download the result" in signed_in.get(address).text
    assert upload(write(applications)).location != address


def test_interrupted_file_is_started_again(
    write, applications, upload, act, signed_in, read_page, until, query
):
    address = upload(write(applications)).location
    query("UPDATE checked_files SET run = 'x', decided = 7, seen_at = '2026-01-01 00:00:00.000000'")
    page = seen(read_page(signed_in.get(address).text))
    assert "Deciding was interrupted. Nothing was stored. Start it again." in page
    act(address, "decide")
    until(lambda: query("SELECT count(*) FROM batches") == [(1,)])


def test_running_file_shows_how_far_it_is(write, applications, upload, act, signed_in, query):
    address = upload(write(applications)).location
    query("UPDATE checked_files SET run = 'x', decided = 7, seen_at = '2100-01-01 00:00:00.000000'")
    page = signed_in.get(address).text
    assert f"7 of {len(applications)} applications are decided." in page
    assert '<noscript><meta http-equiv="refresh" content="2"></noscript>' in page
    act(address, "decide")
    act(address, "discard")
    assert query("SELECT run, decided FROM checked_files") == [("x", 7)]


@ON_ONE
def test_result_in_french(write, applications, decide, result, read_page, signed_in):
    address = decide(write(applications))
    head, *rows = result(address, "fr")
    names = ["Ligne", "Référence", "N°", "Décision", "Décision finale", "Probabilité"]
    assert head[: len(names)] == names
    assert {row[3] for row in rows} <= {"accordé", "refusé", "transmis"}
    assert all(re.fullmatch(r"0,\d{4}", row[5]) for row in rows)
    english = [row[6:] for row in result(address)[1:]]
    assert english != [row[6:] for row in rows]


@ON_ONE
def test_template_has_the_columns_and_no_row(signed_in, upload, product):
    template = signed_in.get("/batches/template.csv")
    names = ",".join([*(f.name for f in product.inputs), "reference"])
    assert template.text == f"\ufeff{names}\r\n"
    assert "has no rows" in upload(template.data).text


@ON_ONE
def test_lines_of_a_batch_have_pages(write, granted, decide, signed_in, read_page):
    address = decide(write([granted] * 60))
    page = read_page(signed_in.get(address).text)
    assert len(list(page.iter("tr"))) == 51
    page = read_page(signed_in.get(f"{address}?after=51&decision=granted").text)
    assert len(list(page.iter("tr"))) == 11
    page = seen(read_page(signed_in.get(f"{address}?decision=refused").text))
    assert "There are none." in page
    for wrong in ("after=x", "after=-1", "after=" + "9" * 30, "decision=%00", "decision=all"):
        assert signed_in.get(f"{address}?{wrong}").status_code == 400
    assert signed_in.get("/batches?before=1").status_code == 200


@ON_ONE
def test_decision_names_its_batch(write, granted, decide, signed_in, read_page):
    address = decide(write([granted] * 2))
    page = seen(read_page(signed_in.get("/decisions/2").text))
    assert "batch 1 , line 3" in page
    assert f'href="{address}"' in signed_in.get("/decisions/2").text


@ON_ONE
def test_batches_are_never_changed(write, granted, decide, query):
    decide(write([granted]))
    for statement in (
        "UPDATE batches SET rows = 2",
        "DELETE FROM batches",
        "UPDATE batch_decisions SET line = 3",
        "DELETE FROM batch_decisions",
    ):
        with pytest.raises(Exception, match="are never changed"):
            query(statement)


@ON_ONE
def test_file_of_another_product_is_not_decided(write, granted, upload, act, query):
    address = upload(write([granted])).location
    query("UPDATE checked_files SET applications = replace(applications, 'loan_amount', 'amount')")
    answer = act(address, "decide")
    assert (answer.status_code, "Upload the file again." in answer.text) == (409, True)
    assert query("SELECT run FROM checked_files") == [(None,)]
