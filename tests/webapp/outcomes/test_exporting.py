"""Tests of the file with which a model is trained from outcomes."""

import stat
from hashlib import sha256

import pytest

from ml.training.dataset import as_applications, read_rows


@pytest.fixture
def run(app, tmp_path):
    """Export to a file; return the exit code, the output and the file."""

    def invoke(name="rows.csv"):
        file = tmp_path / name
        done = app.test_cli_runner().invoke(args=["export", "training-data", str(file)])
        if not isinstance(done.exception, SystemExit | None):
            raise done.exception
        return done.exit_code, done.stdout + done.stderr, file

    return invoke


def test_training_reads_what_is_exported(
    decide_all, applications, record, run, product, query, loans
):
    numbers = decide_all(applications)
    granted = dict(query("SELECT id, decision FROM decisions"))
    expected = []
    for i, (number, application) in enumerate(zip(numbers, applications, strict=True)):
        if granted[number] == "granted":
            record(number, "good" if i % 3 else "bad")
            expected.append((application, int(i % 3 > 0)))
    first = next(n for n in numbers if granted[n] == "granted")
    record(first, "bad" if expected[0][1] else "good", reason="mistake")
    expected[0] = (expected[0][0], 1 - expected[0][1])
    code, text, file = run()
    assert (code, text) == (0, f"{len(expected)} rows written\n")
    rows = read_rows(product, file)
    assert as_applications(rows.fields) == [application for application, _ in expected]
    assert rows.good.tolist() == [good for _, good in expected]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    [(subject, kind)] = query(
        "SELECT subject, o.kind FROM audit_log JOIN operators o ON o.id = operator_id "
        "WHERE event = 'training_data.exported'"
    )
    assert (subject, kind) == (f"sha256:{sha256(file.read_bytes()).hexdigest()}", "system")


def test_erased_applications_are_left_out(loans, record, run, query):
    record(loans[0], "good")
    record(loans[1], "bad")
    query(f"DELETE FROM decision_contents WHERE decision_id = {loans[0]}")
    code, text, file = run()
    assert (code, text.splitlines()) == (
        0,
        ["1 row written", "1 left out: erased, or of a product with other fields"],
    )
    assert len(file.read_text().splitlines()) == 2


def test_no_file_is_overwritten(loans, record, run, rows):
    record(loans[0], "good")
    _, _, file = run()
    before, content = rows(), file.read_bytes()
    code, text, _ = run()
    assert (code, text) == (1, f"Error: {file}: it exists, and is not overwritten\n")
    assert (rows(), file.read_bytes()) == (before, content)
    code, text, missing = run("no/such/folder.csv")
    assert (code, missing.exists()) == (1, False)
    assert text == "Error: cannot write: No such file or directory\n"
