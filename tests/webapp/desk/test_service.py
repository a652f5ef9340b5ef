"""Tests of the desk's switch under several changes at once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from webapp.desk import service
from webapp.failures import SwitchRefused
from webapp.ledger.transaction import unit_of_work
from webapp.people.operators import system

THREADS = 8


def test_changes_at_once_are_one(app, query):
    start = Barrier(THREADS)

    def refer(_):
        start.wait(60)
        try:
            with app.app_context(), unit_of_work() as transaction:
                operator = system(transaction)
                service.switch(transaction, referring=True, reason="why", operator=operator)
        except SwitchRefused:
            return False
        return True

    with ThreadPoolExecutor(THREADS) as pool:
        assert sum(pool.map(refer, range(THREADS))) == 1
    assert query("SELECT id, referring FROM desk_switches") == [(1, True)]
    assert query("SELECT count(*) FROM audit_log WHERE event LIKE 'desk.%'") == [(1,)]
