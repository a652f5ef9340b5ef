"""Tests of proofs, which the script in docs/audit.md checks without the service's code."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOC = (Path(__file__).parents[3] / "docs/audit.md").read_text()
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
MAX_LINES = 30


@pytest.fixture(scope="session")
def script(tmp_path_factory):
    """The script of the docs, in a file."""
    [code] = re.findall(r"```python\n(.*?)```", DOC, re.S)
    assert len(code.splitlines()) <= MAX_LINES
    file = tmp_path_factory.mktemp("script") / "check.py"
    file.write_text(code)
    return file


@pytest.fixture
def check(script, run, tmp_path):
    """Check a proof as an outsider does; return the exit code, the output and the errors."""

    def outside(proof, key=None):
        file = tmp_path / "proof.json"
        file.write_text(proof if isinstance(proof, str) else json.dumps(proof))
        key = key or run("audit", "key")[1][0]
        command = [sys.executable, "-I", str(script), str(file), key]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        return done.returncode, done.stdout, done.stderr

    return outside


@pytest.fixture
def proof(log, run):
    """The proof of a decision in the last lane, as JSON."""
    run("audit", "checkpoint")
    code, lines = run("audit", "prove", log[25])
    assert code == 0
    return "\n".join(lines)


def test_proof_is_checked_without_the_service(log, proof, check, query):
    code, out, err = check(proof)
    assert (code, err) == (0, "")
    [(decision,)] = query(f"SELECT decision FROM decisions WHERE id = {log[25]}")
    assert f"facts: [{log[25]}, '20" in out
    assert f"'{decision}'" in out
    assert "checkpoint: loan-desk/audit\n" in out
    assert out.count(": true\n") == 5


@ON_SQLITE
def test_tampered_proofs_are_false(proof, check, run):
    whole = json.loads(proof)
    facts = json.loads(whole["facts"])
    inputs, normalised, reasons, causes, reference = whole["contents"]
    later = base64.b64decode(whole["later"])
    changes = [
        {"facts": whole["facts"].replace(str(facts[13]), str(facts[13] + 1))},
        {"entry": whole["entry"].replace(whole["entry"][-10:-2], "00000000")},
        {"contents": [inputs.replace("1", "2", 1), normalised, reasons, causes, reference]},
        {"contents": [inputs, normalised, "[7]", causes, reference]},
        {"contents": [inputs, normalised, reasons, "[7]", reference]},
        {"contents": [inputs, normalised, reasons, causes, '"R"']},
        {"contents": [inputs, normalised, reasons, causes, None]},
        {"salt": "00" * 16},
        {"previous": "00" * 32},
        {"later": base64.b64encode(later[32:]).decode()},
        {"later": base64.b64encode(later[32:64] + later[:32] + later[64:]).decode()},
        {"checkpoint": whole["checkpoint"].replace("\n1 ", "\n11 ", 1)},
        {"checkpoint": re.sub(r"Z\n", "Z\n3 1 x\n", whole["checkpoint"])},
    ]
    for change in changes:
        assert {**whole, **change} != whole, change
        code, out, err = check({**whole, **change})
        assert code == 1, change
        assert ": FALSE\n" in out or "InvalidSignature" in err, change
    other = run("audit", "key")[1][0].replace("loan-desk/audit", "another")
    assert check(proof, other)[0] == 1


@ON_SQLITE
def test_proof_of_an_erased_decision(log, run, check):
    run("audit", "checkpoint")
    run("erase", "--decision", log[3])
    code, lines = run("audit", "prove", log[3])
    assert code == 0
    proof = json.loads("\n".join(lines))
    assert (proof["contents"], proof["salt"]) == (None, None)
    assert check(proof)[0] == 0


@ON_SQLITE
def test_proof_leads_to_the_oldest_checkpoint_that_covers_it(log, run, check, config):
    run("audit", "checkpoint")
    for name in ("a", "b", "c"):
        run("api-keys", "create", name)
    run("audit", "checkpoint")
    oldest, newest = sorted((config.instance / "checkpoints").iterdir())
    lengths = []
    for options in ([], ["--checkpoint", newest]):
        code, lines = run("audit", "prove", log[-1], *options)
        assert code == 0
        proof = json.loads("\n".join(lines))
        assert check(proof)[0] == 0
        lengths.append(len(base64.b64decode(proof["later"])) // 32)
    assert lengths == [0, 3]
    assert oldest != newest


@ON_SQLITE
def test_proofs_that_cannot_be_given(log, run, take, operator, app, applications, config):
    run("audit", "checkpoint")
    with app.app_context():
        new = take(applications[0], operator=operator).id
    for number in (0, 999, 10**30):
        assert run("audit", "prove", number) == (1, [f"Error: there is no decision {number}"])
    assert run("audit", "prove", new) == (
        1,
        [f"Error: no checkpoint covers decision {new} yet: run flask audit checkpoint"],
    )
    [file] = (config.instance / "checkpoints").iterdir()
    assert run("audit", "prove", new, "--checkpoint", file) == (
        1,
        [f"Error: {file}: it is older than the decision"],
    )


def test_proof_of_a_log_that_was_changed(log, proof, run, query, config):
    if config.database_url:
        query("ALTER TABLE audit_log DISABLE TRIGGER ALL")
    else:
        query("DROP TRIGGER audit_log_no_UPDATE")
    query(f"UPDATE audit_log SET operator_id = 1 WHERE subject = 'decision:{log[25]}'")
    code, [line] = run("audit", "prove", log[25])
    assert (code, line) == (
        1,
        "Error: the log does not agree with the checkpoint: run flask audit verify",
    )
