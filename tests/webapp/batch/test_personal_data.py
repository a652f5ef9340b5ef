"""Tests of what is personal in a batch: who sees it, and when it is deleted."""

import pytest

from tests.fixtures.databases import add_user

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
PASSWORD = "correct horse battery"


def test_file_can_be_discarded(write, applications, upload, act, signed_in, query):
    address = upload(write(applications)).location
    assert act(address, "discard").status_code == 303
    assert query("SELECT count(*) FROM checked_files") == [(0,)]
    assert signed_in.get(address).status_code == 404
    assert act(address, "decide").status_code == 404
    assert upload(write(applications)).location != address


def test_file_that_nobody_decides_is_deleted_after_a_day(
    write, applications, upload, decide, query, signed_in
):
    decided = decide(write(applications))
    old = upload(write(applications)).location
    query("UPDATE checked_files SET created_at = '2026-01-01 00:00:00.000000'")
    new = upload(write(applications)).location
    assert query("SELECT count(*) FROM checked_files") == [(2,)]
    assert signed_in.get(old).status_code == 404
    assert signed_in.get(new).status_code == 200
    assert "june.csv" in signed_in.get(decided).text


@ON_ONE
def test_watch_deletes_files_after_a_day(app, write, applications, upload, query):
    upload(write(applications))
    upload("\n".join([write(applications[:1]).splitlines()[0], "x"]))
    for table in ("checked_files", "refused_files"):
        query(f"UPDATE {table} SET created_at = '2026-01-01 00:00:00.000000'")
    done = app.test_cli_runner().invoke(args=["monitor", "run", "--once"])
    assert done.exit_code == 0, done.output
    for table in ("checked_files", "refused_files"):
        assert query(f"SELECT count(*) FROM {table}") == [(0,)]


def test_erased_decisions_have_no_reference_and_no_reasons(
    app, write, refused, granted, decide, result, signed_in, query
):
    address = decide(write([refused, granted], ["A", "B"]))
    done = app.test_cli_runner().invoke(args=["erase", "--reference", "A"])
    assert done.exit_code == 0, done.output
    rows = result(address)[1:]
    assert [row[1] for row in rows] == ["", "B"]
    assert [row[3] for row in rows] == ["refused", "granted"]
    assert set(rows[0][6:]) == {""}
    assert "june.csv" not in signed_in.get("/batches").text
    assert "The name of the file is erased." in signed_in.get(address).text
    assert query("SELECT count(*) FROM checked_files") == [(0,)]


@ON_ONE
def test_who_sees_what(app, write, granted, upload, decide, act, sign_in, signed_in):
    with app.app_context():
        add_user("other", PASSWORD, ["clerk"])
        add_user("reviewer", PASSWORD, ["reviewer"])
    other, reviewer = (sign_in(app.test_client(), name) for name in ("other", "reviewer"))
    decided = decide(write([granted]))
    waiting = upload(write([granted])).location
    for path in (decided, f"{decided}/result.csv"):
        assert [b.get(path).status_code for b in (signed_in, reviewer, other)] == [200, 200, 404]
    assert [b.get(waiting).status_code for b in (signed_in, reviewer, other)] == [200, 404, 404]
    assert [act(waiting, "decide", browser=b).status_code for b in (reviewer, other)] == [403, 404]
    act(waiting, "discard", browser=other)
    assert signed_in.get(waiting).status_code == 200
    assert ["june.csv" in b.get("/batches").text for b in (reviewer, other)] == [True, False]
    assert "Upload a file" not in reviewer.get("/batches").text
    own = decide(write([granted]), browser=other)
    assert other.get(own).status_code == 200
