"""Tests of the erase command, also of what SQLite's files still hold afterwards."""

import random
from contextlib import closing

import pytest

from webapp.columns import MAX_ID
from webapp.database import sqlite_module

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def raw(config):
    """Read the bytes of SQLite's database file and of its write-ahead log."""

    def read():
        files = [config.instance / f"loan_desk.db{end}" for end in ("", "-wal")]
        return b"".join(file.read_bytes() for file in files if file.exists())

    return read


def counts(query):
    tables = ("decisions", "decision_counts", "trials", "trial_counts", "idempotency_keys")
    return [query(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]


def test_erasure_leaves_the_facts_the_counts_and_the_chain(log, run, query):
    before = counts(query)
    for number in log[:3]:
        query(f"INSERT INTO protected_attributes VALUES ({number}, 'protected_age', '40')")
    code, lines = run("erase", "--decision", log[2], "--decision", log[30 - 1])
    assert (code, lines) == (
        0,
        [f"decision {n}: its contents are erased" for n in (log[2], log[29])],
    )
    assert counts(query) == before
    erased = f"({log[2]}, {log[29]})"
    assert not query(f"SELECT 1 FROM decision_contents WHERE decision_id IN {erased}")
    assert not query(
        f"SELECT 1 FROM trial_contents WHERE trial_id IN "
        f"(SELECT id FROM trials WHERE decision_id IN {erased})"
    )
    assert query("SELECT decision_id FROM protected_attributes ORDER BY 1") == [
        (n,) for n in log[:2]
    ]
    [(trials,)] = query("SELECT count(*) FROM trial_contents")
    assert trials == 4
    assert query(
        "SELECT subject, facts, commitment, o.kind FROM audit_log JOIN operators o "
        "ON o.id = operator_id WHERE event = 'contents.erased' ORDER BY lane, number"
    ) == [(f"decision:{n}", None, None, "system") for n in (log[2], log[29])]
    code, [_, line] = run("audit", "verify", "--contents")
    assert code == 0
    assert line.endswith("match, 0 do not, the contents of 3 are erased")


def test_all_decisions_with_a_reference_are_erased(log, run, query):
    code, lines = run("erase", "--reference", "LOAN/003", "--reference", "LOAN/008")
    numbers = [log[6], log[7], log[16], log[17]]
    assert (code, lines) == (0, [f"decision {n}: its contents are erased" for n in numbers])
    rest = [n for n in log if n not in numbers]
    assert query("SELECT decision_id FROM decision_contents ORDER BY 1") == [(n,) for n in rest]
    assert run("audit", "verify", "--contents")[0] == 0
    # A decision that was named too, and one whose reference is erased already.
    assert run("erase", "--reference", "LOAN/004", "--decision", log[8]) == (
        0,
        [f"decision {n}: its contents are erased" for n in log[8:10]],
    )
    again = (1, ["Error: no decision has the reference LOAN/004"])
    assert run("erase", "--reference", "LOAN/004") == again


def test_decisions_that_corrections_link_are_named_and_not_erased(
    app, run, take, granted, operator, query
):
    with app.app_context():
        first = take(granted, operator=operator, reference="A/1").id
        second = take(granted, operator=operator, corrects=first).id
        third = take(granted, operator=operator, reference="B/2", corrects=second).id
        take(granted, operator=operator)
    code, lines = run("erase", "--decision", second)
    assert (code, lines) == (
        0,
        [
            f"decision {second}: its contents are erased",
            f"decision {first}: linked to these by corrections, and not erased",
            f"decision {third}: linked to these by corrections, and not erased",
        ],
    )
    assert run("erase", "--reference", "A/1", "--reference", "B/2")[1] == [
        f"decision {first}: its contents are erased",
        f"decision {third}: its contents are erased",
    ]
    assert query("SELECT count(*) FROM decision_contents") == [(1,)]


@pytest.mark.parametrize("unknown", ["LOAN/9", "loan/001", "LOAN/%", "", "' OR ''='", "é"])
def test_erasing_by_a_reference_that_does_not_exist_changes_nothing(log, run, rows, unknown):
    before = rows()
    code, [line] = run("erase", "--reference", "LOAN/001", "--reference", unknown)
    assert (code, line) == (1, f"Error: no decision has the reference {unknown}")
    assert rows() == before


def test_erasing_again_changes_nothing(log, run, rows):
    run("erase", "--decision", log[0])
    before = rows()
    assert run("erase", "--decision", log[0]) == (
        0,
        [f"decision {log[0]}: its contents had been erased before"],
    )
    assert rows() == before


def test_erasing_a_decision_that_does_not_exist_changes_nothing(log, run, rows):
    before = rows()
    for number in (0, -1, 999, MAX_ID, MAX_ID + 1, 10**30):
        code, lines = run("erase", "--decision", log[0], "--decision", number)
        assert (code, lines) == (1, [f"Error: there is no decision {number}"])
    assert rows() == before
    assert run("erase")[0] == 2


def test_erased_contents_that_are_put_back_are_found(log, run, query, put, applications):
    [(contents,)] = query(f"SELECT count(*) FROM decision_contents WHERE decision_id = {log[0]}")
    assert contents == 1
    run("erase", "--decision", log[0])
    columns = "inputs, normalised, reasons, causes, reference, salt"
    query(
        f"INSERT INTO decision_contents (decision_id, {columns}) "
        f"SELECT {log[0]}, {columns} FROM decision_contents WHERE decision_id = {log[1]}"
    )
    code, [line, *_] = run("audit", "verify", "--contents")
    assert code == 1
    assert line == f"decision {log[0]}: its contents are not those of its entry"


@ON_SQLITE
def test_nothing_remains_in_the_files(log, run, query, raw):
    """Every text and salt of a decision and its trial is there before, and not afterwards."""
    number = log[3]
    said = b"a protected value"
    query(f"INSERT INTO protected_attributes VALUES ({number}, 'protected', '{said.decode()}')")
    [texts] = query(
        "SELECT c.inputs, normalised, reasons, reference, c.salt, t.inputs, t.salt "
        "FROM decision_contents c "
        "JOIN trials ON trials.decision_id = c.decision_id "
        f"JOIN trial_contents t ON t.trial_id = trials.id WHERE c.decision_id = {number}"
    )
    canaries = [said, *(t if isinstance(t, bytes) else t.encode() for t in texts if t is not None)]
    assert b"LOAN/001" in canaries
    assert len(canaries) >= 6
    before = raw()
    assert all(canary in before for canary in canaries)
    assert run("erase", "--reference", "LOAN/001")[0] == 0
    after = raw()
    assert not [canary for canary in canaries if canary in after]


@ON_SQLITE
def test_no_part_of_many_remains(app, run, put, applications, raw):
    """Rows that SQLite moved between pages, when others were erased, left no parts behind."""
    chosen = random.Random(7)
    parts = {}
    for _ in range(120):
        text = chosen.randbytes(chosen.choice([30, 200, 400, 3_000])).hex()
        number = put(applications[0], inputs={"canary": text})
        parts[number] = [text[i : i + 24].encode() for i in range(0, len(text) - 24, 24)]
    numbers = [*parts]
    chosen.shuffle(numbers)
    while numbers:
        some, numbers = numbers[:12], numbers[12:]
        assert run("erase", *(o for n in some for o in ("--decision", n)))[0] == 0
        rest = raw()
        assert [n for n in parts if any(part in rest for part in parts[n])] == sorted(numbers)


@ON_SQLITE
def test_reader_that_keeps_the_log_in_use(log, run, raw, config, query, another_app, monkeypatch):
    monkeypatch.setattr("webapp.database.BUSY_MILLISECONDS", 50)
    number = log[1]
    [(text,)] = query(f"SELECT inputs FROM decision_contents WHERE decision_id = {number}")
    run("users", "create", "another")  # is in the log, with nothing that waits to be written
    with another_app() as app:
        with closing(sqlite_module().connect(config.instance / "loan_desk.db")) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM decisions").fetchall()
            done = app.test_cli_runner().invoke(args=["erase", "--decision", str(number)])
            assert done.exit_code == 1
            assert done.stdout == f"decision {number}: its contents are erased\n"
            assert done.stderr == (
                f"Error: {config.instance}/loan_desk.db-wal is in use: the database's files may "
                "still hold what was erased. Erase the same decisions again when nothing else "
                "reads the database.\n"
            )
            assert text.encode() in raw()
        done = app.test_cli_runner().invoke(args=["erase", "--decision", str(number)])
        assert (done.exit_code, done.stderr) == (0, "")
    assert text.encode() not in raw()


@ON_POSTGRESQL
def test_role_that_may_not_delete(log, service_s_own, rows, another_app):
    before = rows()
    with another_app(database_url=service_s_own) as app:
        done = app.test_cli_runner().invoke(args=["erase", "--decision", str(log[0])])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == (
        "Error: permission denied for table decisions: "
        "set LOAN_DATABASE_URL to the role that owns the tables\n"
    )
    assert rows() == before


@ON_POSTGRESQL
def test_tables_are_vacuumed(log, run, query):
    run("erase", "--decision", log[1])
    assert query(
        "SELECT relname, vacuum_count FROM pg_stat_user_tables WHERE vacuum_count > 0 "
        "ORDER BY relname"
    ) == [
        *(("checked_files", 1), ("decision_contents", 1), ("letter_contents", 1)),
        *(("protected_answer_contents", 1), ("protected_attributes", 1)),
        *(("review_note_contents", 1), ("trial_contents", 1)),
    ]
