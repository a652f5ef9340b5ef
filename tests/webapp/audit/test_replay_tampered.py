"""Tests of the replay command on decisions that were tampered with."""

import json
import re

import pytest

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
GARBAGE = [
    "{}",
    "[]",
    "null",
    '"x"',
    '{"loan_amount": 1e400}',
    '{"loan_amount": %s}' % ("9" * 4000),
    "[" * 500 + "]" * 500,
]
NO_JSON = ["", "7", "{", "[" * 100_000, "{'a': 1}", "\x1b[31m"]  # PostgreSQL accepts only "7"


TAMPERED = {
    "probability = 0.73": r"probability stored 0\.7300000, computed 0\.\d{7}",
    "probability = probability + 2e-9": r"probability stored 0\.\d{9,}, computed 0\.\d{9,}",
    "model_decision = 'granted'": "model_decision stored 'granted', computed 'refused'",
    "decision = 'granted'": "decision stored 'granted', computed 'refused'",
    "threshold = 0.4": r"threshold stored 0\.4000000, computed 0\.5000000",
    "threshold = threshold + 1e-12": r"threshold stored 0\.500000000001, computed 0\.5",
    "amount = amount + 1": r"amount stored \d+, computed \d+",
    "product = 'mortgage'": "product stored 'mortgage', computed 'consumer_credit'",
    "novelty = novelty + 1": r"novelty stored \d\.\d{7}, computed \d\.\d{7}",
    "reasons = NULL": r"reasons stored None, computed \[\{.*",
    "reasons = '[]'": r"reasons stored \[\], computed \[\{.*",
    "normalised = '{}'": r"normalised\.\w+ stored nothing, computed .*; normalised in \d+ more",
    "normalised = '[7]'": r"normalised stored \[7\], computed \{.*",
    "inputs = '{\"age\": 30}'": "its inputs cannot be scored: .*loan_amount: Enter a value.*",
}


@pytest.fixture
def replay(app):
    """Run the replay command; return its exit code and lines."""
    return lambda *arguments: replayed(app, *arguments)


def replayed(app, *arguments):
    done = app.test_cli_runner().invoke(args=["replay", *arguments])
    assert done.stderr == ""
    return done.exit_code, done.stdout.splitlines()


@pytest.fixture
def refusal(decide_all, applications, refused):
    """The number of a refusal among other decisions."""
    *_, number = decide_all([*applications[:6], refused])
    decide_all(applications[6:12])
    return number


@pytest.fixture
def stored(query):
    """Read a JSON column of a decision."""

    def read(column, number):
        [(text,)] = query(
            f"SELECT CAST({column} AS TEXT) FROM decision_contents WHERE decision_id = {number}"
        )
        return json.loads(text)

    return read


def literal(value):
    text = value if isinstance(value, str) else json.dumps(value)
    return "'" + text.replace("'", "''") + "'"


def test_replay_names_what_was_tampered_with(decide_all, applications, refused, replay, tamper):
    numbers = decide_all([refused] * len(TAMPERED))
    decide_all(applications[:6])
    for number, assignment in zip(numbers, TAMPERED, strict=True):
        tamper(assignment, number)
    code, lines = replay()
    assert code == 1
    for number, pattern, line in zip(numbers, TAMPERED.values(), lines, strict=False):
        assert re.fullmatch(f"decision {number}: {pattern}", line), line
    assert lines[len(numbers) :] == ["20 decisions: 6 match, 14 do not"]


def test_replay_names_a_reason_that_was_tampered_with(refusal, replay, tamper, stored):
    whole = stored("reasons", refusal)

    def line_after(place, **more):
        changed = [dict(reason) for reason in whole]
        changed[place] |= more
        tamper(f"reasons = {literal(changed)}", refusal)
        code, lines = replay(str(refusal))
        assert code == 1
        assert len(lines) == 2
        return lines[0]

    share = whole[1]["share"]
    assert re.search(
        r": reasons\.2\.share stored 9\.0000000, computed -?\d", line_after(1, share=9.0)
    )
    assert "reasons.2.share stored" in line_after(1, share=share + 2e-9)
    assert "reasons.1.principal stored False, computed True" in line_after(0, principal=False)
    assert "reasons.1.field stored 'age', computed" in line_after(0, field="age")
    other = {**whole[0]["text"], "en": "A bad day"}
    assert "reasons.1.text.en stored 'A bad day', computed" in line_after(0, text=other)
    assert "reasons.1.'added' stored 'x', computed nothing" in line_after(0, added="x")
    tamper(f"reasons = {literal(whole[::-1])}", refusal)
    assert "reasons.1.field stored" in replay(str(refusal))[1][0]
    tamper(f"reasons = {literal(whole)}", refusal)
    assert replay()[0] == 0


def test_replay_names_reasons_of_a_grant(decide_all, granted, replay, tamper):
    [number] = decide_all([granted])
    tamper("reasons = '[]'", number)
    code, lines = replay()
    assert code == 1
    assert lines[0] == f"decision {number}: reasons stored [], computed None"
    assert lines[1] == "1 decision: 0 match, 1 does not"
    tamper("reasons = 'null'", number)
    assert replay() == (0, ["1 decision: 1 matches, 0 do not"])


def test_replay_names_a_normalised_value_that_was_tampered_with(refusal, replay, tamper, stored):
    whole = stored("normalised", refusal)
    number = next(name for name, value in whole.items() if isinstance(value, float))
    choice = next(name for name, value in whole.items() if isinstance(value, list))
    turned = [1 - place for place in whole[choice]]
    tamper(f"normalised = {literal({**whole, number: 0.25, choice: turned})}", refusal)
    _, [line, _] = replay()
    assert f"normalised.{number} stored 0.2500000, computed " in line
    assert f"normalised.{choice}.1 stored {turned[0]}, computed {whole[choice][0]}" in line
    for value in (None, "0.25", True, [], 10**4000):
        tamper(f"normalised = {literal({**whole, number: value})}", refusal)
        _, [line, _] = replay()
        assert f"normalised.{number} stored " in line
        assert len(line) < 300


def test_replay_names_an_input_that_was_tampered_with(refusal, replay, tamper, stored, product):
    whole = stored("inputs", refusal)
    for field in product.inputs:
        if field.kind == "integer":
            value = field.maximum if whole[field.name] != field.maximum else field.minimum
        elif field.kind == "flag":
            value = 1 - (whole[field.name] or 0)
        else:
            value = next(c.value for c in field.choices if c.value != whole[field.name])
        tamper(f"inputs = {literal({**whole, field.name: value})}", refusal)
        code, [line, counted] = replay()
        assert (code, counted) == (1, "13 decisions: 12 match, 1 does not"), field.name
        assert line.startswith(f"decision {refusal}: ")
        assert len(line) < 2000
        # The model replaces an empty choice by the most frequent one: only the text of the reason
        # differs.
        unseen = field.kind == "choice" and whole[field.name] is None
        where = "reasons" if unseen else f"normalised.{field.name}"
        assert where in line or "cannot be scored" in line, field.name


def test_replay_with_garbage_for_inputs(refusal, replay, tamper, stored, config):
    whole = stored("inputs", refusal)
    wrong = [
        {**whole, "loan_amount": "many"},
        {**whole, "loan_amount": 1.5},
        {**whole, "loan_amount": True},
        {**whole, "loan_amount": [1]},
        {**whole, "home_status": "castle"},
        {**whole, "colour": "ultramarine"},
        {name: value for name, value in whole.items() if name != "loan_amount"},
    ]
    optional = [name for name, value in whole.items() if value is None]
    wrong += [{n: v for n, v in whole.items() if n != name} for name in optional]
    for inputs in [*wrong, *GARBAGE, *(NO_JSON if not config.database_url else ["7"])]:
        tamper(f"inputs = {literal(inputs)}", refusal)
        code, lines = replay()
        assert code == 1
        assert lines[0].startswith(f"decision {refusal}: its inputs cannot be scored: "), inputs
        assert lines[1:] == ["13 decisions: 12 match, 1 does not"]
        assert "many" not in lines[0]
        assert "ultramarine" not in lines[0]


@ON_SQLITE
def test_replay_with_garbage_elsewhere(refusal, replay, tamper):
    for column in ("reasons", "normalised"):
        for text in NO_JSON:
            tamper(f"{column} = {literal(text)}", refusal)
            code, lines = replay()
            assert code == 1
            assert lines[0].startswith(f"decision {refusal}: ")
            assert f"{column} stored " in lines[0]
            assert lines[0].isprintable()
            assert len(lines) == 2
    for assignment in ("novelty = 'x'", "amount = 'x'", "created_at = 'x'"):
        tamper(assignment, refusal)
        code, lines = replay()
        assert code == 1
        assert len(lines) == 2
