"""Tests of webapp/audit/matching.py, and of the replay of many decisions by it."""

import json
import re
from itertools import cycle, islice

import pytest

from ml.product.application import Rules, Submission
from ml.product.samples import examples
from ml.training.dataset import as_applications, read_rows
from webapp.audit import replay as replaying
from webapp.audit.differences import name_differences
from webapp.audit.matching import find_matching
from webapp.decisions import service
from webapp.decisions.deciding import write_judged
from webapp.ledger.driver import Driver
from webapp.ledger.transaction import unit_of_work

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def stored_rows(app):
    """Read all decisions as replay does."""

    def read():
        with app.app_context():
            conditions, pages = replaying._select(number=None, since=None)
            replayer = replaying._Replayer(conditions)
            return [row for page in pages for row in replayer.read(page)]

    return read


@pytest.fixture
def changed(query, tamper):
    """Change a column of JSON with a function, and return what puts it back."""

    def change(column, number, make):
        [(text,)] = query(
            f"SELECT CAST({column} AS TEXT) FROM decision_contents WHERE decision_id = {number}"
        )
        put = ["'" + value.replace("'", "''") + "'" for value in (json.dumps(make(text)), text)]
        tamper(f"{column} = {put[0]}", number)
        return lambda: tamper(f"{column} = {put[1]}", number)

    return change


def test_find_matching_finds_every_decision_as_stored(
    decide_all, applications, bundle, stored_rows
):
    numbers = decide_all([*applications, *examples(bundle.product, count=60, seed=3)])
    rows = stored_rows()
    assert find_matching(rows, bundle, Rules(bundle.product)) == set(numbers)


def batched(items, size):
    iterator = iter(items)
    return iter(lambda: list(islice(iterator, size)), [])


@ON_SQLITE
def test_replay_of_ten_thousand_decisions(app, bundle, operator, tamper, query):
    fields = read_rows(bundle.product, bundle.product.data_file).fields
    with app.app_context():
        for some in batched(islice(cycle(as_applications(fields)), 10_000), 100):
            new = [
                service.judge(Submission(application), operator=operator, channel="api")
                for application in some
            ]
            with unit_of_work() as transaction:
                write_judged(Driver.of(transaction), new)
    numbers = [number for (number,) in query("SELECT id FROM decisions ORDER BY id")]

    def replayed():
        done = app.test_cli_runner().invoke(args=["replay"])
        return done.exit_code, done.stdout.splitlines()

    assert replayed() == (0, ["10,000 decisions: 10,000 match, 0 do not"])
    some = [numbers[place] for place in (0, 999, 1_000, 7_777, 9_999)]
    for number in some:
        tamper("novelty = novelty + 2e-9", number)
    code, lines = replayed()
    assert code == 1
    for number, line in zip(some, lines, strict=False):
        assert re.fullmatch(rf"decision {number}: novelty stored \S+, computed \S+", line)
    assert lines[5:] == ["10,000 decisions: 9,995 match, 5 do not"]


def of_other_kinds(value):
    """Yield values that Python calls equal to this one, but JSON does not."""
    if isinstance(value, bool):
        yield int(value)
    elif isinstance(value, int):
        yield from (float(value), bool(value))
    elif isinstance(value, float):
        yield from (str(value), int(value))


def variants(value):
    """Yield copies of a JSON value in which one part has another kind."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            for other in variants(value[key]):
                whole = value.copy()
                whole[key] = other
                yield whole
        return
    yield from of_other_kinds(value)


@ON_SQLITE
@pytest.mark.parametrize("column", ["normalised", "reasons"])
def test_replay_tells_equal_values_of_other_kinds_apart(
    decide_all, applications, refused, bundle, changed, stored_rows, column
):
    [number] = decide_all([refused])
    rules, count = Rules(bundle.product), 0
    [row] = stored_rows()
    for other in variants(json.loads(getattr(row, column))):
        put_back = changed(column, number, lambda _, other=other: other)
        [row] = stored_rows()
        assert find_matching([row], bundle, rules) == set()
        [difference] = name_differences(row, bundle, rules)
        assert difference.startswith(f"{column}.")
        put_back()
        count += 1
    assert count > 20


@ON_SQLITE
def test_replay_does_not_mind_the_order_of_names_and_spaces(
    decide_all, refused, bundle, changed, stored_rows, tamper
):
    [number] = decide_all([refused])
    changed("normalised", number, lambda text: dict(reversed(json.loads(text).items())))
    changed("inputs", number, lambda text: dict(reversed(json.loads(text).items())))
    [row] = stored_rows()
    spaced = json.dumps(json.loads(row.reasons), indent=1).replace("'", "''")
    tamper(f"reasons = '{spaced}'", number)
    [row] = stored_rows()
    rules = Rules(bundle.product)
    assert find_matching([row], bundle, rules) == {number}
    assert name_differences(row, bundle, rules) == []


@ON_SQLITE
@pytest.mark.parametrize(
    "damage",
    [
        "created_at = 'x'",
        "created_at = '0001-01-01 00:00:00.000000'",
        "channel = 'post'",
        "operator_id = 999",
        "normalised = '{\"a\": NaN}'",
        "reasons = '['",
        "inputs = '[]'",
    ],
)
def test_find_matching_leaves_out_damaged_rows_only(
    decide_all, applications, bundle, stored_rows, tamper, damage
):
    numbers = decide_all(applications[:5])
    tamper(damage, numbers[2])
    matching = find_matching(stored_rows(), bundle, Rules(bundle.product))
    assert matching == {*numbers} - {numbers[2]}
