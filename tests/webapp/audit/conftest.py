"""A real audit log with several lanes, and ways to change it that no trigger forbids."""

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import Connection

from ml.bundle.decide import decide as judge
from tests.fixtures.databases import add_user
from tests.fixtures.store import Query
from webapp.audit import verify as module
from webapp.config import Config
from webapp.decisions import service
from webapp.decisions.records import Decision
from webapp.decisions.search import find_decision
from webapp.extensions import db
from webapp.ledger.audit import record
from webapp.ledger.transaction import unit_of_work
from webapp.outcomes.records import NewOutcome
from webapp.outcomes.service import record_outcome, today_in
from webapp.people import api_keys
from webapp.people.operators import Operator
from webapp.serving.served import model

WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


@pytest.fixture
def log(
    app: Flask,
    config: Config,
    operator: Operator,
    take: Callable[..., Decision],
    applications: list[Any],
    until: Callable[[Callable[[], Any]], Any],
) -> list[int]:
    """A log of decisions, trials, outcomes and other events; on PostgreSQL in two lanes.

    Return the numbers of the decisions. Each two of the first 20 have a reference in common.
    """
    with app.app_context():
        numbers = [
            take(a, operator=operator, reference=f"LOAN/{i // 2:03}").id
            for i, a in enumerate(applications[:20])
        ]
        with unit_of_work() as transaction:
            for number, application in zip(numbers[:5], applications, strict=False):
                verdict = judge(model.bundle, application)
                service.add_trial(transaction, number, application, verdict, operator=operator)
        made = list(map(find_decision, numbers))
        granted = [d.id for d, _ in made if d.granted][:2]
        for number in granted:
            new = NewOutcome(number, "good", today_in(config.timezone))
            with unit_of_work() as transaction:
                record_outcome(transaction, new, operator=operator, zone=config.timezone)
        add_user("auditor", "correct horse battery")
        with unit_of_work() as transaction:
            api_keys.create_api_key(transaction, "core-banking")
        if config.database_url:
            open_lane(app, config.database_url, until)
            with psycopg.connect(config.database_url) as busy:
                busy.execute("SELECT take_lane()")
                numbers += [take(a, operator=operator).id for a in applications[20:30]]
        numbers += [take(a, operator=operator, reference="last").id for a in applications[30:40]]
    return numbers


def open_lane(app: Flask, url: str, until: Callable[[Callable[[], Any]], Any]) -> None:
    """Make a transaction wait for a lane, so that it opens another."""

    def add() -> None:
        with app.app_context(), unit_of_work() as transaction:
            record(transaction, "sign_in.refused", "unknown")

    waiting = threading.Thread(target=add)
    with psycopg.connect(url) as busy, psycopg.connect(url, autocommit=True) as watching:
        busy.execute("SELECT take_lane()")
        waiting.start()
        until(lambda: watching.execute(WAITS).fetchone()[0])
    waiting.join()


@contextmanager
def unprotected(app: Flask) -> Iterator[Connection]:
    """Begin a transaction in which nothing protects the tables; it is rolled back."""
    with app.app_context(), db.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.begin()
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            for (check,) in connection.exec_driver_sql(
                "SELECT conname FROM pg_constraint "
                "WHERE contype = 'c' AND conrelid = 'audit_log'::regclass"
            ).all():
                connection.exec_driver_sql(f"ALTER TABLE audit_log DROP CONSTRAINT {check}")
        else:
            raw = connection.connection.driver_connection
            raw.execute("PRAGMA foreign_keys = OFF")
            raw.execute("PRAGMA ignore_check_constraints = ON")
            connection.execution_options(writing=True)
            connection.begin()
            for (name,) in connection.exec_driver_sql(
                "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
            ).all():
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        try:
            yield connection
        finally:
            connection.rollback()
            connection.invalidate()


@pytest.fixture
def service_s_own(config: Config, query: Query) -> Iterator[str]:
    """The URL of the database for a role with the rights of compose's service."""
    role = f"desk_{os.getpid()}"
    query(f"CREATE ROLE {role} LOGIN IN ROLE loan_writer")
    yield re.sub(r"//[^@/]*@", f"//{role}@", config.database_url)
    query(f"DROP ROLE {role}")


@pytest.fixture
def run(app: Flask) -> Callable[..., tuple[int, list[str]]]:
    """Run a flask command; return its exit code and the lines of its output."""

    def invoke(*arguments: object) -> tuple[int, list[str]]:
        done = app.test_cli_runner().invoke(args=[*map(str, arguments)])
        if not isinstance(done.exception, SystemExit | None):
            raise done.exception
        return done.exit_code, (done.stdout + done.stderr).splitlines()

    return invoke


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Callable[[Connection], None]:
    """Return a function that lets a connection follow segments, instead of several processes."""

    def mapped(work: Any, items: Any, *, processes: int) -> Any:
        assert processes > 1
        return nullcontext(map(work, items))

    def follow_with(connection: Connection) -> None:
        monkeypatch.setattr(module, "SEGMENT", 7)
        monkeypatch.setattr(module, "snapshot", lambda: nullcontext(connection))
        monkeypatch.setattr(module, "spread", mapped)

    return follow_with
