"""Tests of files of outcomes: every wrong row is named, all or nothing, nothing twice."""

import pytest

from webapp.csv_files import InvalidFile
from webapp.outcomes.files import read_file

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
HEAD = "id,reference,outcome,date,reason\n"


@pytest.fixture
def run(app, tmp_path):
    """Import a file by the command; return the exit code and the lines of its output."""

    def invoke(text, *options):
        file = tmp_path / "outcomes.csv"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        arguments = ["outcomes", "import", str(file), *options]
        done = app.test_cli_runner().invoke(args=arguments)
        if not isinstance(done.exception, SystemExit | None):
            raise done.exception
        return done.exit_code, (done.stdout + done.stderr).splitlines()

    return invoke


@pytest.fixture
def text(loans, today):
    """A file with an outcome of each granted loan."""
    return f"{HEAD}{loans[0]},,good,{today},\n,A/2,bad,{today},\n,A/3,good,{today},\n"


def test_file_is_recorded_once(loans, run, text, history, rows, today, query):
    day = today.isoformat()
    assert run(text, "--dry-run") == (0, ["3 outcomes would be recorded, 0 are known already"])
    assert history() == []
    assert run(text) == (0, ["3 outcomes were recorded, 0 are known already"])
    assert history() == [
        (loans[0], 1, "good", day, None),
        (loans[1], 1, "bad", day, None),
        (loans[2], 1, "good", day, None),
    ]
    before = rows()
    assert run(text, "--dry-run") == (0, ["0 outcomes would be recorded, 3 are known already"])
    assert run(text) == (0, ["0 outcomes were recorded, 3 are known already"])
    assert rows() == before
    [(subject, kind)] = query(
        "SELECT subject, o.kind FROM audit_log JOIN operators o ON o.id = operator_id "
        "WHERE event = 'outcomes.imported'"
    )
    assert (subject, kind) == (f"sha256:{read_file(text.encode()).digest}", "system")
    [(entries,)] = query("SELECT count(*) FROM audit_log WHERE event = 'outcome.recorded'")
    assert entries == 3


def test_correction_needs_a_reason(loans, run, text, history, today, record):
    record(loans[1], "good")
    code, lines = run(text)
    assert code == 1
    assert lines == [
        f"line 3: reason: The outcome good, known on {today}, is recorded already. A correction "
        "needs a reason: mistake, changed or dispute.",
        "1 row is wrong: nothing was stored",
    ]
    assert len(history()) == 1
    corrected = text.replace(f"bad,{today},", f"bad,{today},changed")
    assert run(corrected) == (0, ["3 outcomes were recorded, 0 are known already"])
    assert run(corrected) == (0, ["0 outcomes were recorded, 3 are known already"])
    assert [row[:3] for row in history()] == [
        (loans[1], 1, "good"),
        (loans[0], 1, "good"),
        (loans[1], 2, "bad"),
        (loans[2], 1, "good"),
    ]


def test_every_wrong_row_is_named_and_nothing_is_stored(
    app, loans, run, rows, today, yesterday, take, operator, granted
):
    with app.app_context():
        more = take(granted, operator=operator, reference="A/3").id
    wrong = {
        f"{loans[0]},,good,{today},": None,
        f"{loans[0]},,bad,{today},": "id: Line 2 is about the same decision.",
        f"{loans[1]},,fair,{today},": "outcome: Enter good or bad.",
        f"{loans[1]},,good,31/12/2026,": "date: Enter a date as YYYY-MM-DD.",
        f"{loans[1]},,good,2026-02-30,": "date: Enter a date as YYYY-MM-DD.",
        f"{loans[1]},,good,20260101,": "date: Enter a date as YYYY-MM-DD.",
        f"{loans[1]},,good,{today},whim": (
            "reason: Enter mistake, changed or dispute, or nothing."
        ),
        f"{loans[1]},A/2,good,{today},": "id: Enter either an id or a reference.",
        f",,good,{today},": "id: Enter either an id or a reference.",
        f"x,,good,{today},": "id: Enter the number of a decision.",
        f"{10**30},,good,{today},": "id: Enter the number of a decision.",
        f"999,,good,{today},": "id: There is no decision with this number.",
        f",a/2,good,{today},": (
            "reference: No decision has this reference, or its contents have been erased."
        ),
        f",\x01,good,{today},": (
            "reference: No decision has this reference, or its contents have been erased."
        ),
        f",A/3,good,{today},": (
            f"reference: Several granted loans have this reference: {loans[2]}, {more}. "
            "Enter the id of one."
        ),
        f"{loans[3]},,good,{today},": (
            "outcome: This loan was refused. Only a granted loan has an outcome."
        ),
        f"{loans[1]},,good,{yesterday},": (
            f"date: The date is before the decision, which was made on {today}."
        ),
        f"{loans[2]},,good,9998-01-01,": "date: The date is in the future.",
        f"{loans[2]},,good": "id: The row must have 5 values.",
    }
    before = rows()
    for options in ((), ("--dry-run",)):
        code, lines = run(HEAD + "\n".join(wrong), *options)
        assert code == 1
        expected = [f"line {i}: {m}" for i, m in enumerate(wrong.values(), 2) if m]
        assert lines == [*expected, f"{len(expected)} rows are wrong: nothing was stored"]
    assert rows() == before


@pytest.mark.parametrize("written", ["1234", "1 234", "1\u202f234", '"1,234"'])
def test_number_of_a_decision_is_read_as_pages_show_it(written):
    file = read_file(f"id,outcome,date\n{written},good,2026-01-01\n".encode())
    assert ([row.id for row in file.rows], file.wrong) == ([1234], [])


@ON_ONE
@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_files_as_spreadsheets_write_them(loans, run, history, today, delimiter, start, end):
    lines = ["Date,Outcome,Id", f"{today},good,{loans[0]}", ",,", f'"{today}", bad ,{loans[1]}', ""]
    text = end.join(lines).replace(",", delimiter)
    assert run(start + text.encode()) == (0, ["2 outcomes were recorded, 0 are known already"])
    assert [row[:3] for row in history()] == [(loans[0], 1, "good"), (loans[1], 1, "bad")]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "must name the columns"),
        (b"id,outcome\n1,good\n", "must name the columns"),
        (b"outcome,date\ngood,2026-01-01\n", "must name the columns"),
        (b"id,outcome,date,name\n", "must name the columns"),
        (b"id,id,outcome,date\n", "must name the columns"),
        (b"PK\x03\x04", "must name the columns"),
        (b"id,outcome,date\n1,\0,2026-01-01\n", "not a text file in UTF-8"),
        (b"id,outcome,date\n\xff,good,2026-01-01\n", "not a text file in UTF-8"),
        (b'id,outcome,date\n1,"good"x,2026-01-01\n', "Line 2 is not CSV"),
        (b'id,outcome,date\n1,good,2026-01-01\n2,"good', "Line 3 is not CSV"),
        (b"id,outcome,date\n" + b"1" * 200_000, "Line 2 is not CSV"),
    ],
)
def test_files_of_another_kind_are_refused(data, reason):
    with pytest.raises(InvalidFile, match=reason):
        read_file(data)


@ON_ONE
def test_command_on_what_is_no_file_of_outcomes(run):
    code, [line] = run(b"\xff")
    assert code == 1
    assert line.startswith("Error: ")
    assert line.endswith("In a spreadsheet, save it as “CSV UTF-8”.")


def test_many_rows(app, loans, copy, run, query, today):
    copy(loans[0], f"{today} 00:00:01.000000", count=3_000)
    [(first, last)] = query("SELECT max(id) - 2999, max(id) FROM decisions")
    rows = [f"{n},,{'good' if n % 5 else 'bad'},{today}," for n in range(first, last + 1)]
    assert run(HEAD + "\n".join(rows)) == (0, ["3,000 outcomes were recorded, 0 are known already"])
    assert query("SELECT sum(count) FROM outcome_counts WHERE outcome = 'bad'") == [(600,)]
    done = app.test_cli_runner().invoke(args=["audit", "verify"])
    assert (done.exit_code, "all well" in done.stdout) == (0, True)
