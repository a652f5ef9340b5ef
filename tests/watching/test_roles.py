"""Grafana's role reads one view and can do nothing else."""

import psycopg
import pytest
from flask import Flask

DENIED = (
    "SELECT * FROM decisions",
    "SELECT * FROM decision_contents",
    "SELECT * FROM decision_counts",
    "SELECT * FROM trials",
    "SELECT * FROM trial_contents",
    "SELECT * FROM idempotency_keys",
    "SELECT * FROM operators",
    "SELECT * FROM users",
    "SELECT * FROM api_keys",
    "SELECT * FROM alembic_version",
    "INSERT INTO v_decisions (id) VALUES (1)",
    "UPDATE v_decisions SET decision = 'granted'",
    "DELETE FROM v_decisions",
    "INSERT INTO api_keys (id, digest) VALUES (1, 'mine')",
    "UPDATE users SET password = 'mine'",
    "DELETE FROM decisions",
    "TRUNCATE decisions",
    "DROP VIEW v_decisions",
    "DROP TABLE decisions",
    "ALTER VIEW v_decisions RENAME TO mine",
    "CREATE TABLE mine ()",
    "CREATE TEMP TABLE mine ()",
    "CREATE ROLE mine",
    "SET ROLE loan_desk",
    "SELECT rolpassword FROM pg_authid",
    "SELECT pg_read_file('/etc/hostname')",
    "COPY v_decisions TO PROGRAM 'cat'",
)


def test_grafana_reads_the_view_alone(app: Flask, database):
    done = []
    with psycopg.connect(database.grafana, autocommit=True) as connection:
        assert connection.execute("SELECT * FROM v_decisions").fetchall() == []
        # Whoever has the password can say so too: what protects is what was never granted.
        connection.execute("SET default_transaction_read_only = off")
        for statement in DENIED:
            try:
                connection.execute(statement)
            except psycopg.errors.InsufficientPrivilege:
                continue
            done.append(statement)
    assert done == []


def test_the_view_holds_nothing_personal(app: Flask, database):
    with psycopg.connect(database.grafana) as connection:
        columns = {c.name for c in connection.execute("SELECT * FROM v_decisions").description}
    assert columns == {
        "id",
        "created_at",
        "product",
        "model",
        "channel",
        "granted",
        "decision",
        "model_decision",
        "probability",
        "threshold",
        "novelty",
        "amount",
        "amount_band",
        "amount_from",
    }


def test_grafana_reads_only_and_not_for_long(app: Flask, database):
    with psycopg.connect(database.grafana) as connection:
        assert connection.execute("SHOW default_transaction_read_only").fetchone() == ("on",)
        assert connection.execute("SHOW statement_timeout").fetchone() == ("30s",)


def test_roles_have_passwords_and_no_power_over_the_server(database):
    query = (
        "SELECT rolname, rolpassword LIKE 'SCRAM-SHA-256$%', rolcanlogin, "
        "rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls "
        "FROM pg_authid WHERE rolname IN ('loan_desk', 'grafana', 'loan_reader') ORDER BY rolname"
    )
    with psycopg.connect(database.administrator) as connection:
        assert connection.execute(query).fetchall() == [
            ("grafana", True, True, False),
            ("loan_desk", True, True, False),
            ("loan_reader", None, False, False),
        ]


@pytest.mark.parametrize("role", ["desk", "grafana"])
def test_roles_are_not_let_into_other_databases_as_owners(database, role):
    address = getattr(database, role).replace("/loan_desk?", "/postgres?")
    with (
        psycopg.connect(address, autocommit=True) as connection,
        pytest.raises(
            (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)
        ),
    ):
        connection.execute("CREATE TABLE mine ()")
