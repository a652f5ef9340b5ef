"""Tests of listing decisions: every order, filter and page, on both databases."""

from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest

from webapp.columns import decision_value, now
from webapp.decisions import value_index, walking
from webapp.decisions.conditions import Question
from webapp.decisions.filters import SORTS, Filter
from webapp.decisions.listing import Position, list_decisions, list_models
from webapp.decisions.order import order_of
from webapp.decisions.value_index import add_values, find_unindexed
from webapp.extensions import db
from webapp.ledger.transaction import unit_of_work
from webapp.people.operators import Operator

SIZE = 6
SPREAD = 3_000  # between two numbers, so that the decisions are in several segments
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
FILTERS: tuple[dict, ...] = (
    {},
    {"amount_from": 2_000, "amount_to": 3_000},
    {"novelty": "unusual"},
    {"model": "second", "channel": "api"},
    {"since": date(2026, 3, 2), "until": date(2026, 3, 3)},
    {"search": "LN"},
    {"decision": "refused", "novelty": "usual", "amount_to": 4_000},
)


@pytest.fixture
def many(app, put, granted):
    """Store decisions that differ in everything, many of them with equal values."""

    def store(count: int, *, seed: int, first: int = 1) -> None:
        draw = Random(seed)
        for i in range(count):
            probability = draw.choice((0.1, 0.5, 0.9, draw.random()))
            put(
                granted,
                id=(first + i) * SPREAD,
                created_at=START + timedelta(hours=2 * draw.randrange(36)),
                probability=probability,
                threshold=0.5,
                decision=decision_value(probability >= 0.5),
                amount=draw.choice((1_000, 2_000, 3_000, draw.randrange(1, 5_000))),
                novelty=draw.choice((0.5, 1.0, 1.5, draw.random())),
                model=draw.choice(("first", "second")),
                channel=draw.choice(("desk", "api")),
                reference=draw.choice((None, f"LN-{i}")),
            )

    return store


@pytest.fixture
def index(app):
    """Index the values of the decisions up to a number."""

    def add(*, up_to: int) -> None:
        with app.app_context():
            numbers = [n for n in find_unindexed(after=0, before=now()) if n <= up_to]
            if numbers:
                with unit_of_work() as transaction:
                    add_values(transaction, numbers)

    return add


@pytest.fixture
def expected(query):
    """What a filter lets through, in its order, by another way than the service's."""

    def numbers(chosen: dict, sort: str) -> list[int]:
        order = order_of(sort)
        columns = "d.id, d.created_at, amount, probability, novelty, decision, model, channel"
        rows = query(
            f"SELECT {columns}, reference FROM decisions d JOIN decision_contents c "
            "ON c.decision_id = d.id"
        )
        names = [c.rpartition(".")[2] for c in columns.split(", ")] + ["reference"]
        some = [dict(zip(names, row, strict=True)) for row in rows]
        kept = [row for row in some if keeps(row, chosen)]
        kept.sort(key=lambda row: (row[order.column], row["id"]), reverse=order.descending)
        return [row["id"] for row in kept]

    return numbers


def keeps(row: dict, chosen: dict) -> bool:
    day = str(row["created_at"])[:10]  # the same in Paris, as no hour is odd
    return (
        all(row[n] == chosen[n] for n in ("decision", "model", "channel") if n in chosen)
        and chosen.get("amount_from", 0) <= row["amount"] <= chosen.get("amount_to", 10_000)
        and chosen.get("probability_from", 0) <= row["probability"]
        and chosen.get("novelty") in (None, "unusual" if row["novelty"] > 1 else "usual")
        and str(chosen.get("since", "")) <= day <= str(chosen.get("until", "9"))
        and (row["reference"] or "").startswith(chosen.get("search", ""))
    )


def forwards(list_page, between=lambda: None, **chosen):
    """Return the numbers on all pages, and the place of the last one."""
    seen, place = [], None
    while True:
        page = list_page(place and Position(place), SIZE, **chosen)
        assert len(page.rows) <= SIZE
        seen += [row.id for row in page.rows]
        if page.after is None:
            return seen, page
        place = page.after
        between()


def backwards(list_page, page, **chosen):
    """Return the numbers on all pages before one and on it."""
    seen = [row.id for row in page.rows]
    while page.before is not None:
        page = list_page(Position(page.before, backwards=True), SIZE, **chosen)
        seen = [row.id for row in page.rows] + seen
    return seen


@pytest.fixture(params=["as it is", "walking", "in steps"])
def how(request, monkeypatch):
    """List by reading what an index finds, by walking in the order, and with the fewest steps."""
    if request.param != "as it is":
        monkeypatch.setattr(walking, "MAX_GATHERED", -1)
        monkeypatch.setattr("webapp.decisions.conditions.MAX_KNOWN", -1)
    if request.param == "in steps":
        monkeypatch.setattr(walking, "STEPS_BY_TIME", (3,))
        monkeypatch.setattr(walking, "STEPS_BY_VALUE", (2, 3))


@pytest.mark.usefixtures("how")
@pytest.mark.parametrize("indexed", [0, 17, 30])
def test_pages_have_each_decision_once_forwards_and_backwards(
    app, many, index, expected, list_page, indexed
):
    many(30, seed=1)
    index(up_to=indexed * SPREAD)
    with app.app_context():
        for chosen in FILTERS:
            for sort in SORTS:
                every = expected(chosen, sort)
                seen, last = forwards(list_page, sort=sort, **chosen)
                assert seen == every, (chosen, sort)
                assert backwards(list_page, last, sort=sort, **chosen) == every, (chosen, sort)


@pytest.mark.parametrize("seed", range(3))
def test_pages_while_decisions_are_made_and_indexed(app, many, index, expected, list_page, seed):
    many(20, seed=seed)
    draw = Random(seed)
    made = 20
    with app.app_context():
        for sort in SORTS:
            chosen = draw.choice(FILTERS)
            before = expected(chosen, sort)

            def make() -> None:
                nonlocal made
                many(1, seed=made, first=made + 1)
                made += 1
                index(up_to=draw.randrange(made) * SPREAD)

            seen, last = forwards(list_page, make, sort=sort, **chosen)
            now = expected(chosen, sort)
            assert [n for n in seen if n in before] == before, (chosen, sort)
            assert seen == sorted(set(seen), key=now.index)
            assert backwards(list_page, last, sort=sort, **chosen) == now, (chosen, sort)


def test_every_decision_of_an_equal_value_once(app, put, granted, list_page):
    numbers = [put(granted, created_at=START, amount=1_000) for _ in range(11)]
    with app.app_context():
        for sort in ("amount_high", "newest"):
            assert forwards(list_page, sort=sort)[0] == numbers[::-1]
        for sort in ("amount_low", "oldest", "novelty_low"):
            assert forwards(list_page, sort=sort)[0] == numbers


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # which stores any type
@pytest.mark.parametrize("indexed", [False, True])
def test_damaged_values_have_a_place(app, put, granted, tamper, index, list_page, indexed):
    numbers = [put(granted, novelty=i / 100) for i in range(11)]
    damaged = numbers[2:10]
    for number in damaged:
        tamper("novelty = 'x'", number)
    if indexed:
        index(up_to=numbers[-1])
    with app.app_context():
        assert sorted(forwards(list_page, sort="novelty_low")[0]) == numbers
        assert sorted(forwards(list_page, sort="novelty_high")[0]) == numbers
        usual = forwards(list_page, sort="novelty_low", novelty="usual")[0]
        assert sorted(usual) == [n for n in numbers if n not in damaged]


def test_search_that_stops_says_where(app, put, granted, list_page, monkeypatch):
    monkeypatch.setattr(walking, "MAX_GATHERED", -1)
    monkeypatch.setattr(walking, "STEPS_BY_TIME", (3, 3))
    numbers = [put(granted, channel="api" if i == 0 else "desk") for i in range(20)]
    with app.app_context():
        page = list_page(channel="api")
        assert (page.rows, page.searched_to.id) == ([], numbers[-6])
        seen, last = forwards(list_page, channel="api")
        assert (seen, last.after, last.searched_to) == ([numbers[0]], None, None)


def test_search_by_reference(app, put, granted, list_page):
    def found(search):
        return [row.reference for row in list_page(search=search).rows]

    references = ("LN/1", "LN/10", "ln/1", "50 100", "A_B", "AXB", None)
    for reference in references:
        put(granted, reference=reference)
    with app.app_context():
        assert found("LN/1") == ["LN/1"]
        assert found("LN/") == ["LN/10", "LN/1"]
        assert found("50") == ["50 100"]
        assert found("A_") == ["A_B"]  # not a wildcard
        for nothing in ("%", "_", "L%", "*", "\\", "'", "“", "LN/1'--", "ZZ"):
            assert found(nothing) == []


def test_only_own_decisions_for_a_clerk(app, put, granted, operator):
    other = Operator("user", operator.id + 1_000, "other", frozenset({"clerk"}))
    own = Operator("user", operator.id, "clerk", frozenset({"clerk"}))
    numbers = [put(granted, amount=1_000 * (i + 1), reference="LN") for i in range(5)]
    with app.app_context():
        for sort in SORTS:
            for more in ({}, {"search": "LN"}, {"operator": "clerk"}, {"amount_from": "1"}):
                chosen = Filter(sort=sort, **more)

                def page(who, position=None, chosen=chosen):
                    zone = START.tzinfo
                    return list_decisions(Question(chosen, who, zone), position=position)

                assert {row.id for row in page(own).rows} == set(numbers)
                assert page(other).rows == []
                # Nothing is learnt from a place that is another's.
                assert page(other, Position(numbers[2])) == page(other)


def test_models_in_use(app, put, granted):
    with app.app_context():
        assert list_models() == []
    for model in ("b", "a", "b", "c"):
        put(granted, model=model)
    with app.app_context():
        assert list_models() == ["a", "b", "c"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_sqlite_searches_each_segment_by_its_index(app, query):
    with app.app_context():
        step = value_index._place_at(order_of("amount_high"), lambda table: [], 1, nth=1)
        statement = step.compile(db.engine, compile_kwargs={"literal_binds": True})
    plan = [row[3] for row in query(f"EXPLAIN QUERY PLAN {statement}")]
    assert any(line.startswith("SEARCH indexed_values USING COVERING INDEX") for line in plan), plan
