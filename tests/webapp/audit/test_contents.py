"""Tests that decisions and trials are compared with their entries."""

import re

import pytest

from tests.webapp.audit.conftest import unprotected
from webapp.audit.contents import compare

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
FACTS = "its facts are not those of its entry"
CONTENTS = "its contents are not those of its entry"
CHANGES = {
    "UPDATE decisions SET probability = 1 - (1 - probability) / 3 WHERE id = 2": (
        f"decision 2: {FACTS}"
    ),
    "UPDATE decisions SET policy = 'policy-0' WHERE id = 2": f"decision 2: {FACTS}",
    "UPDATE decisions SET corrects = 1 WHERE id = 2": f"decision 2: {FACTS}",
    "UPDATE decision_contents SET causes = '[7]' WHERE decision_id = 2": f"decision 2: {CONTENTS}",
    "UPDATE decisions SET created_at = '2026-01-01 00:00:00.000000' WHERE id = 2": (
        f"decision 2: {FACTS}"
    ),
    "UPDATE decisions SET operator_id = 1 WHERE id = 3": f"decision 3: {FACTS}",
    "UPDATE decisions SET channel = 'api' WHERE id = 3": f"decision 3: {FACTS}",
    "UPDATE decision_contents SET inputs = '{\"age\": 3}' WHERE decision_id = 4": (
        f"decision 4: {CONTENTS}"
    ),
    "UPDATE decision_contents SET reasons = '[]' WHERE decision_id = 5": f"decision 5: {CONTENTS}",
    "UPDATE decision_contents SET reference = 'LOAN/001' WHERE decision_id = 5": (
        f"decision 5: {CONTENTS}"
    ),
    "UPDATE decision_contents SET reference = NULL WHERE decision_id = 5": (
        f"decision 5: {CONTENTS}"
    ),
    "UPDATE decision_contents SET salt = '0123456789012345' WHERE decision_id = 6": (
        f"decision 6: {CONTENTS}"
    ),
    "UPDATE decisions SET id = 999 WHERE id = 7": "decision 999: it has no entry",
    "DELETE FROM decision_contents WHERE decision_id = 9": (
        "decision 9: its contents are missing, and no entry says that they were erased"
    ),
    "UPDATE trials SET probability = probability / 3 WHERE id = 2": f"trial 2: {FACTS}",
    "UPDATE trials SET decision_id = 3 WHERE id = 1": f"trial 1: {FACTS}",
    "UPDATE trial_contents SET inputs = '{}' WHERE trial_id = 3": f"trial 3: {CONTENTS}",
    "DELETE FROM trial_contents WHERE trial_id = 4": (
        "trial 4: its contents are missing, and no entry says that they were erased"
    ),
    "UPDATE outcomes SET outcome = 'bad' WHERE id = 1": f"outcome 1: {FACTS}",
    "UPDATE outcomes SET known_on = '2026-01-01' WHERE id = 2": f"outcome 2: {FACTS}",
    "UPDATE outcomes SET id = 9 WHERE id = 2": "outcome 9: it has no entry",
    "UPDATE audit_log SET event = 'contents.erased' WHERE lane = 1 AND subject = 'trial:1'": (
        "trial 1: it has no entry"
    ),
    "INSERT INTO audit_log SELECT lane, 1000, created_at, operator_id, event, subject, facts, "
    "commitment, hash FROM audit_log WHERE subject = 'decision:8'": (
        "lane 1, entry 1000: there is no such decision"
    ),
    "UPDATE audit_log SET subject = 'decision:08' WHERE subject = 'decision:8'": (
        "decision 8: it has no entry"
    ),
    "UPDATE audit_log SET subject = 'decision:x' WHERE subject = 'decision:8'": (
        "decision 8: it has no entry"
    ),
}
OF_ANY_TYPE = [
    *(f"UPDATE decisions SET {column} = x'ff' WHERE id = 2" for column in ("created_at", "amount")),
    "UPDATE decisions SET created_at = '2026' WHERE id = 2",
    "UPDATE decisions SET probability = 'x' WHERE id = 2",
    "UPDATE decisions SET novelty = 9e999 WHERE id = 2",
    "UPDATE decision_contents SET inputs = x'ff' WHERE decision_id = 2",
    "UPDATE decision_contents SET inputs = '{' WHERE decision_id = 2",
    "UPDATE decision_contents SET reference = CAST(reference AS BLOB) WHERE decision_id = 2",
    "UPDATE decision_contents SET salt = 'x' WHERE decision_id = 2",
    "UPDATE decision_contents SET salt = 7 WHERE decision_id = 2",
    "UPDATE outcomes SET known_on = x'ff' WHERE id = 2",
    "UPDATE audit_log SET facts = 7 WHERE subject = 'decision:2'",
    "UPDATE audit_log SET commitment = 'x' WHERE subject = 'decision:2'",
    "UPDATE audit_log SET subject = x'ff' WHERE subject = 'decision:2'",
]


def lines_after(app, *statements):
    """Compare after changes, which are then taken back."""
    lines = []
    with unprotected(app) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
        compare(connection, lines.append)
    return lines


def test_all_match(log, run, query):
    [(decisions,)] = query("SELECT count(*) FROM decisions")
    code, [_, line] = run("audit", "verify", "--contents")
    assert (code, line) == (0, f"{decisions} decisions, 5 trials and 2 outcomes match, 0 do not")


def test_contents_of_a_new_log(app, run):
    code, [_, line] = run("audit", "verify", "--contents")
    assert (code, line) == (0, "0 decisions, 0 trials and 0 outcomes match, 0 do not")


@pytest.mark.parametrize(("statement", "line"), CHANGES.items())
def test_changes_are_found(app, log, config, statement, line):
    if config.database_url and "salt" in statement:
        statement = statement.replace("'0123456789012345'", "'\\x00'")
    checks = "ALTER TABLE decision_contents DROP CONSTRAINT ck_decision_contents_salt"
    assert line in lines_after(app, *([checks] if config.database_url else []), statement)


def test_decision_that_is_gone_leaves_its_entry(app, log, query):
    [(number,)] = query("SELECT number FROM audit_log WHERE subject = 'decision:8'")
    assert lines_after(app, "DELETE FROM decisions WHERE id = 8") == [
        f"lane 1, entry {number}: there is no such decision"
    ]


@ON_SQLITE
@pytest.mark.parametrize("statement", OF_ANY_TYPE)
def test_values_of_any_type(app, log, statement):
    first = lines_after(app, statement)[0]
    assert re.fullmatch(
        r"(decision|outcome) 2: .*|lane 1, entry \d+: there is no such decision", first
    )


def test_command_fails_for_what_does_not_match(log, run, tamper):
    tamper("probability = probability / 3", 2)
    code, lines = run("audit", "verify", "--contents")
    assert code == 1
    assert lines[0] == f"decision 2: {FACTS}"
    assert lines[1].endswith(": all well")
    assert lines[2].endswith(" 5 trials and 2 outcomes match, 1 does not")
    assert run("audit", "verify")[0] == 0
