"""Users and API keys: created once, hashed, revoked."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from webapp.failures import LastAdmin, NameTaken, NotFound
from webapp.ledger.transaction import unit_of_work
from webapp.people import api_keys, service as people

THREADS = 8


@pytest.fixture
def write(app):
    """Call a function in a unit of work."""

    def act(function, *arguments, **more):
        with app.app_context(), unit_of_work() as transaction:
            return function(transaction, *arguments, **more)

    return act


def test_create_first_user_only_once(write, query_at, config):
    where = config.database_url or config.instance
    query_at(where, "DELETE FROM user_roles")
    query_at(where, "DELETE FROM users")
    query_at(where, "DELETE FROM operators WHERE kind = 'user'")
    start = Barrier(THREADS)

    def work(i):
        start.wait(60)
        return write(people.create_first_user, f"admin{i % 2}", password_hash="x")

    with ThreadPoolExecutor(THREADS) as pool:
        made = list(pool.map(work, range(THREADS)))
    assert sum(made) == 1
    assert len(query_at(where, "SELECT id FROM users")) == 1


def test_two_admins_who_disable_each_other_at_once_leave_one(write, query):
    two = [write(people.create_user, name, password_hash="x", roles=["admin"]) for name in "ab"]
    start = Barrier(2)

    def disable(me):
        [other] = {*two} - {me}
        start.wait(60)
        try:
            write(people.set_active, other, active=False, operator_id=me)
        except LastAdmin:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(disable, two)) == [False, True]
    assert query(
        "SELECT count(*) FROM users JOIN user_roles ON user_id = id WHERE role = 'admin' AND active"
    ) == [(1,)]


def test_create_user_twice(write):
    with pytest.raises(NameTaken, match="clerk"):
        write(people.create_user, "clerk", password_hash="x", roles=["clerk"])
    with pytest.raises(NotFound, match="nobody"):
        write(people.number_of, "nobody")
    with pytest.raises(NotFound, match="4711"):
        write(people.set_password, 4711, password_hash="x")


def test_user_and_api_key_may_have_one_name(write, query):
    write(api_keys.create_api_key, "clerk")
    assert query("SELECT kind FROM operators WHERE name = 'clerk' ORDER BY kind") == [
        ("api_key",),
        ("user",),
    ]


def test_api_key_is_kept_as_its_hash(app, write, query):
    key = write(api_keys.create_api_key, "core-banking")
    with app.app_context():
        assert api_keys.operator_of_key(key).name == "core-banking"
    with pytest.raises(NameTaken, match="core-banking"):
        write(api_keys.create_api_key, "core-banking")
    [stored] = query("SELECT * FROM api_keys")
    assert key.removeprefix("ld_") not in str(stored)
    assert len(key) > 40


def test_api_key_revoked(app, write):
    key = write(api_keys.create_api_key, "core-banking")
    write(api_keys.revoke_api_key, "core-banking")
    with pytest.raises(NotFound, match="core-banking"):
        write(api_keys.revoke_api_key, "core-banking")
    with app.app_context():
        assert api_keys.operator_of_key(key) is None
        assert [k.name for k in api_keys.list_api_keys()] == ["core-banking"]
