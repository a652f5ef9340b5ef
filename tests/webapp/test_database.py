"""Tests of webapp/database.py."""

import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest
from flask_migrate import upgrade
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from tests.fixtures.databases import add_user, disconnect
from webapp import create_app
from webapp.config import Config
from webapp.database import SAFE_WAL, sqlite_module
from webapp.extensions import db

ROOT = Path(__file__).parents[2]
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
THREADS, EACH = 8, 25


def scalar_of(statement):
    with db.engine.connect() as connection:
        return connection.exec_driver_sql(statement).scalar()


@ON_SQLITE
def test_sqlite_connection_has_its_settings(app):
    module = sqlite_module()
    assert module.__name__ == "pysqlite3"
    assert module.sqlite_version_info >= SAFE_WAL
    with app.app_context():
        assert db.engine.dialect.dbapi is module
        assert scalar_of("SELECT sqlite_version()") == module.sqlite_version
        assert scalar_of("PRAGMA journal_mode") == "wal"
        assert scalar_of("PRAGMA synchronous") == 2
        assert scalar_of("PRAGMA foreign_keys") == 1
        assert scalar_of("PRAGMA busy_timeout") == 10_000


@ON_SQLITE
def test_sqlite_writes_begin_immediately(app, list_page):
    statements = []
    with app.app_context():

        @event.listens_for(db.engine, "before_cursor_execute")
        def note(connection, cursor, statement, parameters, context, executemany):
            statements.append(
                statement.partition(" ")[0] if "BEGIN" not in statement else statement
            )

        add_user("another", "a long password")
        assert statements[0] == "BEGIN IMMEDIATE"
        assert "INSERT" in statements
        statements.clear()
        db.session.remove()
        list_page()
        assert statements[0] == "BEGIN"


@ON_SQLITE
def test_sqlite_reader_does_not_wait_for_a_writer(app, config, granted, operator, take, list_page):
    with app.app_context():
        take(granted, operator=operator)
        db.session.remove()
        file = config.instance / "loan_desk.db"
        with closing(sqlite_module().connect(file, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            assert len(list_page().rows) == 1


def test_two_starts_on_one_database(app, config, operator, granted, query, take):
    """Two engines, as of two processes, write in turn."""
    apps = [app, create_app(config)]
    for i in range(6):
        with apps[i % 2].app_context():
            take(granted, operator=operator)
    disconnect(apps[1])
    assert query("SELECT count(*) FROM decisions") == [(6,)]


def test_many_writers_at_once_all_succeed(app, operator, applications, query, take, list_page):
    start = Barrier(THREADS)

    def write(i):
        start.wait(30)
        for j in range(EACH):
            with app.app_context():
                list_page()  # reads first, as a request does
                given = applications[(i + j) % len(applications)]
                take(given, operator=operator)
        return EACH

    with ThreadPoolExecutor(THREADS) as pool:
        assert sum(pool.map(write, range(THREADS))) == THREADS * EACH
    assert query("SELECT count(*) FROM decisions") == [(THREADS * EACH,)]
    assert query("SELECT sum(count) FROM decision_counts") == [(THREADS * EACH,)]


@ON_SQLITE
@pytest.mark.parametrize("replaced", [False, True])
def test_moved_or_replaced_sqlite_file_is_not_written_to(post, granted, config, query, replaced):
    file, away = config.instance / "loan_desk.db", config.instance / "away.db"
    assert post(granted).status_code == 201
    query("PRAGMA wal_checkpoint(TRUNCATE)")
    if replaced:
        shutil.copy(file, away)
        away.rename(file)
    else:
        file.rename(away)
    answer = post(granted)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert file.exists() == replaced  # no new one is made in its place
    if not replaced:
        away.rename(file)
        assert post(granted).status_code == 201


@ON_SQLITE
@pytest.mark.parametrize("end", ["-wal", "-shm"])
def test_sqlite_log_taken_away_is_not_written_to(app, post, granted, config, end):
    log, away = config.instance / f"loan_desk.db{end}", config.instance / "away"
    assert post(granted).status_code == 201
    log.rename(away)
    assert post(granted).status_code == 503
    with app.app_context(), pytest.raises(OperationalError):
        scalar_of("SELECT 1")  # by another connection
    assert not log.exists()  # no new one is made in its place
    away.rename(log)
    assert post(granted).status_code == 201


@ON_SQLITE
@pytest.mark.parametrize("share", [0, 0.5])
def test_truncated_sqlite_file_is_not_written_to(post, granted, config, share, query):
    file = config.instance / "loan_desk.db"
    assert post(granted).status_code == 201
    content = file.read_bytes()
    os.truncate(file, int(len(content) * share))
    for _ in range(2):
        assert post(granted).status_code == 503
    with file.open("r+b") as opened:
        opened.write(content)
    assert post(granted).status_code == 201
    assert query("SELECT count(*) FROM decisions") == [(2,)]


@ON_SQLITE
def test_sqlite_file_that_a_vacuum_made_smaller_is_written_to(app, post, granted, config, query):
    file = config.instance / "loan_desk.db"
    query("CREATE TABLE filler AS SELECT randomblob(1000000) AS content")
    query("PRAGMA wal_checkpoint(TRUNCATE)")
    assert post(granted).status_code == 201
    size = file.stat().st_size
    for statement in ("DROP TABLE filler", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
        query(statement)
    assert file.stat().st_size < size - 900_000
    assert post(granted).status_code == 201


def test_sqlite_files_are_accessible_only_to_their_owner(tmp_path, bundle):
    old = os.umask(0o022)
    try:
        app = create_app(Config(instance=tmp_path / "new", bundle=bundle.directory))
        with app.app_context():
            upgrade()
            scalar_of("SELECT 1")
            modes = {f.name: f.stat().st_mode & 0o777 for f in (tmp_path / "new").iterdir()}
            db.engine.dispose()
    finally:
        os.umask(old)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert set(modes) == {"loan_desk.db", "loan_desk.db-wal", "loan_desk.db-shm", "secret_key"}
    assert set(modes.values()) == {0o600}


@ON_SQLITE
def test_mode_of_an_existing_sqlite_file_is_restricted(migrated):
    file = migrated.instance / "loan_desk.db"
    file.chmod(0o644)
    app = create_app(migrated)
    with app.app_context():
        scalar_of("SELECT 1")
        db.engine.dispose()
    assert file.stat().st_mode & 0o777 == 0o600


@ON_POSTGRESQL
def test_postgresql_connection_has_its_timeouts(app):
    with app.app_context():
        assert db.engine.dialect.driver == "psycopg"
        assert scalar_of("SHOW statement_timeout") == "10s"
        assert scalar_of("SHOW lock_timeout") == "5s"
        assert scalar_of("SHOW timezone") == "UTC"
        assert scalar_of("SHOW synchronous_commit") == "on"
        with db.engine.connect() as connection:
            driver = connection.connection.driver_connection
            given = driver.info.get_parameters()
    assert given["connect_timeout"] == "5"
    # A server that disappears without closing its connections is noticed within 25 seconds.
    assert int(given["tcp_user_timeout"]) <= 25_000
    idle, interval, count = (int(given[f"keepalives_{x}"]) for x in ("idle", "interval", "count"))
    assert (given["keepalives"], idle + interval * count) == ("1", 25)


@ON_POSTGRESQL
def test_postgresql_connections_closed_meanwhile(app, signed_in, query):
    assert signed_in.get("/decisions").status_code == 200
    ended = query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert ended
    assert signed_in.get("/decisions").status_code == 200


@ON_POSTGRESQL
def test_postgresql_url_with_the_short_scheme(config):
    short = config.database_url.replace("postgresql://", "postgres://")
    app = create_app(config.model_copy(update={"database_url": short}))
    with app.app_context():
        assert scalar_of("SELECT 1") == 1
        db.engine.dispose()


def test_sqlite_without_pysqlite3(tmp_path):
    code = """
import sys
sys.modules["pysqlite3"] = None
from flask_migrate import upgrade
from webapp import create_app
from webapp.config import Config
from webapp.extensions import db
app = create_app()
with app.app_context():
    upgrade()
    with db.engine.connect() as connection:
        for name in ("journal_mode", "synchronous", "foreign_keys"):
            print(connection.exec_driver_sql(f"PRAGMA {name}").scalar())
"""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("LOAN_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**clean, "LOAN_INSTANCE": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    wal = sqlite3.sqlite_version_info >= SAFE_WAL
    assert done.stdout.split() == ["wal" if wal else "truncate", "2", "1"]
    assert f"SQLite {sqlite3.sqlite_version}, journal {'WAL' if wal else 'TRUNCATE'}" in done.stderr


@ON_SQLITE
def test_log_says_which_sqlite(config, caplog):
    with caplog.at_level(logging.DEBUG, logger="webapp"):
        app = create_app(config.model_copy(update={"log_level": "debug"}))
    with app.app_context():
        db.engine.dispose()
    assert f"SQLite {sqlite_module().sqlite_version}, journal WAL" in caplog.text
