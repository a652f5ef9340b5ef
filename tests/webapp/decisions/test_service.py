"""What the service does, and what the database keeps it to."""

import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import insert, inspect
from sqlalchemy.exc import DBAPIError, IntegrityError

from webapp.columns import now
from webapp.decisions import search, service
from webapp.decisions.tables import Decision
from webapp.extensions import db
from webapp.failures import NameTaken, NotFound
from webapp.monitoring import health
from webapp.people import api_keys, service as people
from webapp.people.operator import Operator

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
BY_KIND = "FROM decisions GROUP BY product, granted, channel, model"
THREADS = 8


@pytest.fixture
def decide(app, operator):
    def one(application, **more):
        given = {"operator": operator, "channel": "desk", **more}
        return service.decide(application, **given)

    return one


def row(number=0, **more):
    """The columns of a decision, with or without sense."""
    return {
        "created_at": now(),
        "channel": "desk",
        "product": "consumer_credit",
        "model": f"svc-{number % 3}",
        "probability": 0.5,
        "threshold": 0.5,
        "granted": number % 2 == 0,
        "amount": 7000,
        "inputs": {},
        "normalised": {},
        **more,
    }


def counted(query):
    """The kept counts and those of the table itself."""
    kept = query(
        "SELECT product, granted, channel, model, sum(count) FROM decision_counts "
        "GROUP BY product, granted, channel, model"
    )
    there = query(f"SELECT product, granted, channel, model, count(*) {BY_KIND}")
    return ({tuple(map(str, r)) for r in rows} for rows in (kept, there))


def test_decide_has_written_before_it_returns(app, decide, granted, query, bundle):
    with app.app_context():
        number = decide(granted).id
        found = query("SELECT id, probability FROM decisions")
    assert found == [(number, bundle.scorer.score(granted).probability)]


def test_decide_keeps_inputs_in_the_products_order(app, decide, granted, product):
    with app.app_context():
        number = decide(granted).id
        db.session.remove()
        stored = search.find_decision(number)
        assert list(stored.inputs) == [f.name for f in product.inputs]
        assert stored.inputs == granted
        assert stored.created_at.utcoffset().total_seconds() == 0


def test_decide_same_submission(app, decide, granted, refused, query, api_key):
    with app.app_context():
        first = decide(granted, submission="a").id
        assert decide(granted, submission="a").id == first
        others = [
            decide(granted, submission="b").id,
            decide(refused, submission="a").id,
            decide(granted, submission=None).id,
            decide(granted, submission=None).id,
            decide(granted, submission="").id,
        ]
        key = api_keys.operator_of_key(api_key)
        others.append(decide(granted, operator=key, channel="api", submission="a").id)
    assert len({first, *others}) == len(others) + 1
    assert query("SELECT count(*) FROM decisions") == [(len(others) + 1,)]


def test_decide_unknown_operator_stores_nothing(app, decide, granted, query):
    with app.app_context():
        with pytest.raises(IntegrityError):
            decide(granted, operator=Operator("user", 4711, "nobody"))
        assert decide(granted).id  # the session is usable after it
    assert query("SELECT count(*) FROM decisions") == [(1,)]


def test_counts_equal_the_table(app, decide, applications, operator, query):
    with app.app_context():
        key = api_keys.operator_of_key(api_keys.create_api_key("another"))
        for i, application in enumerate(applications[:20]):
            if i % 3:
                decide(application)
            else:
                decide(application, operator=key, channel="api")
        many = [row(i, user_id=operator.id) for i in range(250)]
        db.session.execute(insert(Decision), many)
        db.session.execute(
            insert(Decision).values([dict(r, model="all at once") for r in many[:90]])
        )
        db.session.add_all([Decision(**row(i, user_id=operator.id)) for i in range(40)])
        db.session.commit()
        db.session.execute(insert(Decision), many[:50])
        db.session.rollback()
        told = search.count_decisions()
    kept, there = counted(query)
    assert kept == there
    assert sum(n for _, n in told) == query("SELECT count(*) FROM decisions")[0][0] == 400
    assert {kind for (_, kind, _, _), _ in told} == {"granted", "refused"}


def test_counts_equal_the_table_after_threads(app, applications, query, operator):
    start = Barrier(THREADS)

    def work(i):
        start.wait(30)
        with app.app_context():
            for application in applications[i::THREADS]:
                service.decide(application, operator=operator, channel="desk")

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))
    kept, there = counted(query)
    assert kept == there
    assert query("SELECT count(*) FROM decisions") == [(len(applications),)]


def test_decisions_are_never_changed(app, decide, granted, query, query_at, config):
    with app.app_context():
        decide(granted)
    before = query("SELECT * FROM decisions")
    for statement in (
        "UPDATE decisions SET granted = NOT granted",
        "UPDATE decisions SET id = id + 1",
        "DELETE FROM decisions",
        "DELETE FROM decisions WHERE id = 1",
        *(["TRUNCATE decisions CASCADE"] if config.database_url else []),
    ):
        with pytest.raises(Exception, match="decisions are never changed"):
            query_at(config.database_url or config.instance, statement)
    assert str(query("SELECT * FROM decisions")) == str(before)


@pytest.mark.parametrize(
    ("constraint", "wrong"),
    [
        ("one_operator", {"user_id": None}),
        ("channel", {"channel": "post"}),
        ("probability", {"probability": 1.01}),
        ("probability", {"probability": -0.01}),
    ],
)
def test_decision_against_the_constraints(app, operator, constraint, wrong):
    with app.app_context():
        db.session.add(Decision(**row(**{"user_id": operator.id, **wrong})))
        with pytest.raises(DBAPIError, match=f"ck_decisions_{constraint}"):
            db.session.commit()
        db.session.rollback()


def test_every_constraint_has_its_name(app):
    pattern = re.compile(r"(pk|fk|uq|ck|ix)_[a-z_]+")
    with app.app_context():
        found = inspect(db.engine)
        for table in set(found.get_table_names()) - {"alembic_version"}:
            names = [found.get_pk_constraint(table)["name"]]
            for part in (found.get_unique_constraints, found.get_check_constraints):
                names += [c["name"] for c in part(table)]
            names += [
                c["name"] for c in (*found.get_foreign_keys(table), *found.get_indexes(table))
            ]
            for name in names:
                assert pattern.fullmatch(name), name


def test_list_decisions_from_any_place(app, decide, applications):
    with app.app_context():
        numbers = [decide(a).id for a in applications[:3]]
        assert [d.id for d in search.list_decisions(before=numbers[1]).decisions] == numbers[:1]
        assert [d.id for d in search.list_decisions(after=numbers[0]).decisions] == numbers[:0:-1]
        assert not search.list_decisions(before=numbers[0]).decisions
        assert not search.list_decisions(after=numbers[-1]).decisions


def test_create_first_user_only_once(app, query_at, config):
    where = config.database_url or config.instance
    query_at(where, "DELETE FROM users")
    start = Barrier(THREADS)

    def work(i):
        start.wait(60)
        with app.app_context():
            return people.create_first_user(f"admin{i % 2}", "a password of some length")

    with ThreadPoolExecutor(THREADS) as pool:
        made = list(pool.map(work, range(THREADS)))
    assert sum(made) == 1
    assert len(query_at(where, "SELECT id FROM users")) == 1


def test_create_user_twice(app):
    with app.app_context():
        with pytest.raises(NameTaken, match="clerk"):
            people.create_user("clerk", "another password")
        with pytest.raises(NotFound, match="nobody"):
            people.set_password("nobody", "another password")


def test_api_key_is_kept_as_its_hash(app, query):
    with app.app_context():
        key = api_keys.create_api_key("core-banking")
        assert api_keys.operator_of_key(key).name == "core-banking"
        with pytest.raises(NameTaken, match="core-banking"):
            api_keys.create_api_key("core-banking")
    [stored] = query("SELECT * FROM api_keys")
    assert key.removeprefix("ld_") not in str(stored)
    assert len(key) > 40


def test_api_key_revoked(app, query):
    with app.app_context():
        key = api_keys.create_api_key("core-banking")
        api_keys.revoke_api_key("core-banking")
        assert api_keys.operator_of_key(key) is None
        with pytest.raises(NotFound, match="core-banking"):
            api_keys.revoke_api_key("core-banking")
        assert [k.name for k in api_keys.list_api_keys()] == ["core-banking"]


def test_check_database_without_tables(app, query_at, config):
    with app.app_context():
        health.check_database()
        db.session.rollback()
        query_at(config.database_url or config.instance, "DROP TABLE decision_counts")
        with pytest.raises(DBAPIError):
            health.check_database()
