"""Tests that rows changed by hand are shown as damaged, and the other rows as usual."""

import pytest

from tests.fixtures.desk import token
from webapp.decisions.damage import Damaged
from webapp.decisions.listing import Position

# Assignments by the damaged column; only SQLite stores values of another type than the column's.
SALT = "0123456789abcdef"
HUGE = '{"field": "age", "share": 1e308, "principal": true, "text": {"en": "a", "fr": "a"}}'
SURROGATE = '{"field": "age", "share": 1, "principal": true, "text": {"en": "\\ud800", "fr": "a"}}'
ON_BOTH = {
    "created_at": ["created_at = '9999-12-31 23:59:59.999999'"],
    "decision": ["decision = 'maybe'"],
    "model_decision": ["model_decision = 'x'"],
    "channel": ["channel = 'post'"],
    "threshold": ["threshold = 7"],
    "probability": ["probability = -1"],
    "amount": ["amount = -5"],
    "inputs": [
        "inputs = '[]'",
        "inputs = '{}'",
        "inputs = 'null'",
        "inputs = '{\"loan_amount\": 1e400}'",
        "inputs = '{\"loan_amount\": [1]}'",
    ],
    "normalised": [
        "normalised = '[7]'",
        "normalised = '{}'",
        'normalised = \'{"age": "x"}\'',
        "normalised = '{\"age\": 1e308}'",
    ],
    "basis": ["basis = 'x'"],
    "causes": ["causes = '{}'", "causes = '[{}]'", "causes = '[7]'"],
    "reasons": ["reasons = '{}'", "reasons = '[{}]'", "reasons = '[7]'", f"reasons = '[{HUGE}]'"],
}
ON_SQLITE = {
    "created_at": ["created_at = 'x'", "created_at = 7", "created_at = ''"],
    "channel": ["channel = CAST(x'ff' AS TEXT)"],  # no UTF-8
    "operator": ["operator_id = 4711"],
    "probability": ["probability = 'x'"],
    "threshold": ["threshold = 'x'"],
    "amount": ["amount = 'x'", "amount = 5.5"],
    "novelty": ["novelty = 'x'"],
    "model": ["model = x'00'"],
    "policy": ["policy = x'00'"],
    "corrects": ["corrects = -1", "corrects = 'x'"],
    "inputs": ["inputs = '{'", "inputs = 7", "inputs = x'00'", f"inputs = '{'[' * 100_000}'"],
    "normalised": ["normalised = ''", "normalised = 'NaN'"],
    "reasons": ["reasons = 'x'", f"reasons = '[{SURROGATE}]'"],
}
ON_POSTGRESQL = {
    "created_at": ["created_at = 'infinity'", "created_at = '0044-03-15 BC'"],
    "novelty": ["novelty = 'NaN'"],
}
NOT_COMPUTED = ("created_at", "operator", "channel", "corrects")  # columns that a replay only reads


@pytest.fixture
def damaged(decide_all, refused, tamper, config):
    """The numbers of decisions that were tampered with, each with its damaged column."""
    more = ON_POSTGRESQL if config.database_url else ON_SQLITE
    kinds = [*ON_BOTH.items(), *more.items()]
    cases = [(column, assignment) for column, some in kinds for assignment in some]
    numbers = decide_all([refused] * len(cases))
    for number, (_, assignment) in zip(numbers, cases, strict=True):
        tamper(assignment, number)
    return {number: column for number, (column, _) in zip(numbers, cases, strict=True)}


def test_damaged_decision_is_reported_and_the_others_are_shown(
    app, list_page, damaged, decide_all, granted, signed_in, api_key, caplog
):
    [intact] = decide_all([granted])
    with app.app_context():
        page = list_page()
        listed = [row.decision for row in page.rows]
        while page.after:
            page = list_page(Position(page.after))
            listed += [row.decision for row in page.rows]
    columns = {d.id: d.columns for d in listed if isinstance(d, Damaged)}
    assert [d.id for d in listed if d.id == intact] == [intact]
    assert len(listed) == len(damaged) + 1
    headers = {"Authorization": f"Bearer {api_key}"}
    for number, column in damaged.items():
        contents = column in ("inputs", "normalised", "reasons", "causes")
        assert columns.get(number) == (None if contents else (column,))
        shown = signed_in.get(f"/decisions/{number}")
        assert shown.status_code == 409, column
        assert f"Decision {number} is damaged" in shown.text
        assert column in shown.text
        for path in ("", "/reasons"):
            answer = signed_in.get(f"/api/v1/decisions/{number}{path}", headers=headers)
            assert (answer.status_code, answer.mimetype) == (409, "application/problem+json")
            assert answer.json["columns"] == [column]
            assert answer.json["type"] == "urn:loan-desk:problem:damaged-decision"
        assert f"decision {number} is damaged: {column}" in caplog.text
    assert signed_in.get(f"/decisions/{intact}").status_code == 200
    assert signed_in.get(f"/api/v1/decisions/{intact}", headers=headers).status_code == 200
    form = {"csrf_token": token(signed_in, "/decisions"), "loan_amount": "700"}
    assert signed_in.post(f"/decisions/{max(damaged)}/trials", data=form).status_code == 409


def test_list_marks_damaged_rows(signed_in, decide_all, refused, granted, tamper):
    first, second = decide_all([refused, granted])
    tamper("decision = 'maybe'", first)
    page = signed_in.get("/decisions").text
    assert (
        page.count(f'href="/decisions/{first}"') == page.count(f'href="/decisions/{second}"') == 1
    )
    assert page.count("Damaged row") == 1
    assert "Granted" in page
    french = signed_in.get("/decisions", headers={"Accept-Language": "fr"}).text
    assert "Ligne endommagée" in french


def test_replay_names_every_damaged_decision(app, damaged):
    done = app.test_cli_runner().invoke(args=["replay"])
    assert done.exit_code == 1
    reported = [line for line in done.stdout.splitlines() if line.startswith("decision ")]
    lines = {int(line.split()[1].rstrip(":")): line for line in reported}
    replayed = {n for n, column in damaged.items() if column != "model"}  # that model is missing
    assert lines.keys() == replayed
    for number in replayed:
        if damaged[number] in NOT_COMPUTED:
            assert lines[number] == f"decision {number}: {damaged[number]} cannot be read"


@pytest.mark.parametrize("inputs", ['{"age": [7]}', "{}", '{"yacht": 1}', '{"loan_amount": "x"}'])
def test_decision_with_a_damaged_trial_is_shown(signed_in, put, refused, bundle, query, inputs):
    number = put(refused, model=bundle.version)
    query(
        "INSERT INTO trials (id, created_at, decision_id, operator_id, probability, model_decision)"
        " SELECT id, created_at, id, operator_id, 0.5, 'granted' FROM decisions"
    )
    query(
        "INSERT INTO trial_contents (trial_id, inputs, salt) "
        f"VALUES ({number}, '{inputs}', '{SALT}')"
    )
    page = signed_in.get(f"/decisions/{number}")
    assert page.status_code == 200
    assert "Damaged row (inputs)" in page.text
