"""Tests of the migrations, also when several processes start them at once."""

import os

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask_migrate import downgrade, upgrade
from sqlalchemy import inspect

from webapp import create_app, database
from webapp.extensions import db
from webapp.ledger.transaction import unit_of_work
from webapp.people import service as people

TABLES = {
    *("operators", "users", "user_roles", "api_keys"),
    *("recovery_codes", "sign_in_attempts"),
    *("decisions", "decision_contents", "decision_counts", "idempotency_keys"),
    *("protected_answers", "protected_answer_contents", "protected_attributes"),
    *("fairness_months", "fairness_groups"),
    *("trials", "trial_contents", "trial_counts", "challenger_scores", "challenger_counts"),
    *("watched_hours", "decision_hours", "indexed_values", "training_scores"),
    *("field_counts", "field_stability", "score_evidence"),
    *("realised_months", "realised_bands", "calibration_evidence"),
    *("estimated_months", "estimated_figures", "challenger_evidence"),
    "store_checks",
    *("reviews", "review_notes", "review_note_contents"),
    *("refused_files", "checked_files", "batches", "batch_decisions"),
    *("letters", "letter_contents"),
    *("outcomes", "outcome_counts", "audit_lanes", "audit_log"),
}
STARTS = 3


@pytest.fixture
def empty(config):
    """The application on a database without tables."""
    app = create_app(config)
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


def database_objects():
    """Return the names of tables and views, and those of triggers, functions and indexes."""
    inspector = inspect(db.engine)
    with db.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            statement = (
                "SELECT name FROM sqlite_schema WHERE type IN ('trigger', 'index') AND sql <> ''"
            )
        else:
            statement = (
                "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal "
                "UNION SELECT proname FROM pg_proc "
                "WHERE proname ~ '^(decision|trial|challenger|outcome|refuse)' "
                "UNION SELECT indexname FROM pg_indexes WHERE schemaname = 'public'"
            )
        more = set(connection.exec_driver_sql(statement).scalars())
    return set(inspector.get_table_names()) | set(inspector.get_view_names()), more


def ours(name, kind, _):
    """Leave out the table that only the triggers on SQLite use, and partitions on PostgreSQL."""
    return name != "counting" and not str(name).startswith("decision_hours_")


# SQLAlchemy cannot read them from SQLite; PostgreSQL's are compared.
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based")
def test_upgrade_equals_the_models(empty):
    upgrade()
    tables, _ = database_objects()
    assert tables >= {*TABLES, "v_decisions"}
    with db.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True, "include_name": ours}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, db.metadata) == []


def test_downgrade_leaves_nothing_and_upgrade_makes_it_again(empty):
    upgrade()
    with unit_of_work() as transaction:
        people.create_user(transaction, "clerk", password_hash="x", roles=["clerk"])
    first = database_objects()
    db.session.remove()
    downgrade(revision="base")
    tables, more = database_objects()
    assert tables == {"alembic_version"}
    assert not {name for name in more if "alembic" not in name}
    upgrade()
    assert database_objects() == first
    upgrade()  # once more changes nothing
    assert database_objects() == first


def test_upgrade_that_fails_leaves_nothing(empty, query_at, config):
    where = config.database_url or config.instance
    with db.engine.connect():
        pass  # makes SQLite's file
    query_at(where, "CREATE VIEW v_decisions AS SELECT 1")  # the migration's last step must fail
    with pytest.raises(Exception, match="v_decisions"):
        upgrade()
    assert database_objects()[0] & TABLES == set()
    query_at(where, "DROP VIEW v_decisions")
    upgrade()
    assert database_objects()[0] >= TABLES


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    "lock", ["SELECT pg_advisory_lock(5018735322)", "LOCK TABLE alembic_version"]
)
def test_prepare_names_the_sessions_that_hold_a_lock(migrated, lock, monkeypatch):
    monkeypatch.setattr(database, "MIGRATION_LOCK_SECONDS", 1)
    app = create_app(migrated)
    with psycopg.connect(migrated.database_url) as other:
        other.execute(lock)
        done = app.test_cli_runner().invoke(args=["prepare"])
        session = f"{other.info.backend_pid} of {other.info.user}"
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == (
        "Error: the database: waited 1 seconds for a lock. Sessions that hold locks here: "
        f"{session}. End them, or try again\n"
    )
    assert app.test_cli_runner().invoke(args=["prepare"]).exit_code == 0
    with app.app_context():
        db.engine.dispose()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_prepare_refuses_a_database_that_is_not_utf8(postgresql, config, encoding):
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE other ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
        )
        url = postgresql.replace("/postgres?", "/other?")
        app = create_app(config.model_copy(update={"database_url": url}))
        done = app.test_cli_runner().invoke(args=["prepare"])
        with app.app_context():
            db.engine.dispose()
        connection.execute("DROP DATABASE other")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == (
        f"Error: the database: its encoding is {encoding}. "
        "Create it with ENCODING 'UTF8' TEMPLATE template0\n"
    )


def test_prepare_at_once_many_times(config, query, forks):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("LOAN_")}
    environment = {
        **clean,
        "LOAN_INSTANCE": str(config.instance),
        "LOAN_DATABASE_URL": config.database_url,
    }
    command = ["-m", "flask", "--app", "webapp", "prepare"]
    starts = forks.run_at_once(*[command] * STARTS, environment=environment)
    assert [start.returncode for start in starts] == [0] * STARTS, starts
    assert sum("First start" in start.stdout for start in starts) == 1
    assert [start.stderr for start in starts] == [""] * STARTS
    assert query("SELECT name FROM operators JOIN users USING (id)") == [("admin",)]
