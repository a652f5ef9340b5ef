"""Tests that Grafana's role only reads its views, and the service's role only does its work."""

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select

from ml.bundle.decide import decide
from ml.product.samples import examples
from ml.training.dataset import as_applications, read_rows
from tests.fixtures.databases import PASSWORD, add_user
from tests.fixtures.desk import token
from webapp import create_app
from webapp.columns import now
from webapp.extensions import db
from webapp.ledger.transaction import unit_of_work
from webapp.people.operators import Operator
from webapp.people.tables import OperatorRow
from webapp.reviews.closing import NewClosing, close_review
from webapp.reviews.parts import clock
from webapp.reviews.queue import take_next
from webapp.reviews.service import add_note

# What Grafana's role may read: no contents, references, names of operators or states of tests.
COLUMNS = {
    "v_activations": "created_at model",
    "v_bands": "dimension value place name",
    "v_calibration_evidence": (
        "period product model outcomes evidence highest roc_auc roc_auc_in_training worse"
    ),
    "v_challenger_hours": (
        "hour product model challenger model_decision challenger_decision count"
    ),
    "v_decision_hours": "dimension hour product model value decision count",
    "v_decisions": (
        "id created_at product model channel decision model_decision probability threshold novelty "
        "amount"
    ),
    "v_fairness": "month product model field group_name decisions granted outcomes bad",
    "v_field_stability": "day days product model field rows missing unusual stability bound",
    "v_final_decisions": ("id created_at product model decision model_decision final reviewed_at"),
    "v_reviews": (
        "id opened_at cause claimed_at closed_at result final code decided_at product model "
        "decision model_decision probability has_the_word outcome"
    ),
    "v_granted_loans": "decided_at product model loans",
    "v_outcome_counts": (
        "decided_month known_month product model model_decision score_bin outcome count"
    ),
    "v_realised_bands": "month product model score_bin outcomes good expected",
    "v_realised_months": "month product model outcomes good expected brier roc_auc",
    "v_estimates": (
        "month product model decisions trustworthy figure plain value low high in_training"
    ),
    "v_score_evidence": "day product model decisions evidence highest",
    "v_training_scores": "product model score_bin count",
    "v_watched_hours": "hour product model decisions rows unusual",
}
NOBODY_BUT_THE_OWNER = (
    "UPDATE decisions SET decision = 'refused'",
    "DELETE FROM decisions",
    "TRUNCATE decisions",
    "DROP TABLE decisions",
    "ALTER TABLE decisions DISABLE TRIGGER ALL",
    "UPDATE decision_counts SET count = 0",
    "INSERT INTO decision_counts SELECT * FROM decision_counts",
    "UPDATE decision_contents SET inputs = '{}'",
    "CREATE OR REPLACE FUNCTION decisions_count() RETURNS trigger LANGUAGE plpgsql AS ''",
    "DROP VIEW v_decisions",
    "ALTER VIEW v_decisions RENAME TO mine",
    "CREATE TABLE mine ()",
    "CREATE TEMP TABLE mine ()",
    "CREATE ROLE mine",
    "SET ROLE loan_owner",
    "SELECT rolpassword FROM pg_authid",
    "SELECT pg_read_file('/etc/hostname')",
    "COPY v_decisions TO PROGRAM 'cat'",
    "SELECT lo_create(0)",
    "SELECT lo_from_bytea(0, 'mine')",
    "SELECT pg_sleep(0)",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_try_advisory_lock(1)",
    "SELECT pg_try_advisory_xact_lock(1)",
    "SELECT pg_logical_emit_message(false, 'mine', 'mine')",
)
DENIED = {
    "desk": (
        *NOBODY_BUT_THE_OWNER,
        "UPDATE operators SET name = 'mine'",
        "DELETE FROM users",
        "DELETE FROM api_keys",
        "UPDATE api_keys SET digest = 'mine'",
        "UPDATE idempotency_keys SET decision_id = 1",
        "UPDATE alembic_version SET version_num = 'mine'",
        "UPDATE trials SET probability = 1",
        "DELETE FROM challenger_scores",
    ),
    "grafana": (
        *NOBODY_BUT_THE_OWNER,
        "INSERT INTO v_decisions (id) VALUES (1)",
        "UPDATE v_decisions SET decision = 'granted'",
        "DELETE FROM v_decisions",
        "INSERT INTO api_keys (id, digest) VALUES (1, 'mine')",
        "UPDATE users SET password = 'mine'",
        "SET ROLE loan_desk",
    ),
}


@pytest.mark.parametrize("role", DENIED)
def test_roles_have_no_other_rights(app: Flask, database, role):
    denied = [*DENIED[role]]
    if role == "grafana":
        denied += [f"SELECT * FROM {name}" for name in (*db.metadata.tables, "alembic_version")]
    done = []
    with psycopg.connect(getattr(database, role), autocommit=True) as connection:
        readable = "v_decisions" if role == "grafana" else "decisions"
        assert connection.execute(f"SELECT * FROM {readable}").fetchall() == []
        # Every client can change this setting, so only missing rights protect the tables.
        connection.execute("SET default_transaction_read_only = off")
        for statement in denied:
            try:
                connection.execute(statement)
            except psycopg.errors.InsufficientPrivilege:
                continue
            done.append(statement)
    assert done == []


def asks_nobody(bundle, application):
    """Whether neither a policy rule nor its novelty refers an application to a person."""
    rules = bundle.product.policy_rules
    usual = decide(bundle, application).novelty <= 1
    return usual and not any(rule.holds(application) for rule in rules)


def test_service_works_with_its_own_role(
    app: Flask, config, signed_in, api_key, bundle, product, query_at, database
):
    """The application signs in as loan_desk, which is not the owner of the tables."""
    assert signed_in.get("/readyz").status_code == 200
    headers = {"Authorization": f"Bearer {api_key}"}
    [application] = examples(product, count=1, seed=7)
    made = signed_in.post("/api/v1/decisions", json=application, headers=headers)
    number = made.json["id"]
    rows = as_applications(read_rows(product, product.data_file).fields)[:200]
    granted = max(
        (a for a in rows if asks_nobody(bundle, a)),
        key=lambda a: bundle.scorer.score(a).probability,
    )
    loan = signed_in.post("/api/v1/decisions", json=granted, headers=headers).json["id"]
    known = {"outcome": "good", "date": now().astimezone(config.timezone).date().isoformat()}
    recorded = signed_in.post(f"/api/v1/decisions/{loan}/outcome", json=known, headers=headers)
    assert recorded.status_code == 200, recorded.text
    review_next(app)
    data = {"csrf_token": token(signed_in, "/decisions"), "loan_amount": "900"}
    assert signed_in.post(f"/decisions/{number}/trials", data=data).status_code == 303
    letter = {**data, "kind": "granted", "number": "1", "language": "fr", "recipient": ""}
    assert signed_in.post(f"/decisions/{loan}/letters", data=letter).status_code == 303
    assert "loan_trials_total{" in signed_in.get("/metrics").text
    again = create_app(config.model_copy(update={"challenger": bundle.challengers[0]}))
    for arguments in (
        ["users", "create", "anna"],
        ["users", "set-password", "anna"],
        ["users", "set-roles", "anna", "analyst", "reviewer"],
        ["users", "reset-second-factor", "anna"],
        ["users", "disable", "anna"],
        ["users", "enable", "anna"],
        ["desk", "refer", "--reason", "an alert"],
        ["desk", "decide", "--reason", "a false alarm"],
        ["api-keys", "create", "another"],
        ["api-keys", "revoke", "another"],
        ["challenger", "run", "--once"],
        ["monitor", "run", "--once"],
        ["replay"],
    ):
        done = again.test_cli_runner().invoke(args=arguments)
        assert done.exit_code == 0, (arguments, done.output)
    with again.app_context():
        db.session.remove()
        db.engine.dispose()
    assert query_at(database.owner, "SELECT sum(count) FROM challenger_counts") == [(2,)]
    assert query_at(database.owner, "SELECT bad_lanes, uncounted FROM store_checks") == [(0, 0)]
    assert signed_in.post("/logout", data=data).status_code == 302
    assert signed_in.get("/decisions").status_code == 302


def review_next(app):
    """Take the next review as the service does, write a note and close it."""
    with app.app_context():
        add_user("boris", PASSWORD, ["reviewer"])
        number = db.session.scalar(select(OperatorRow.id).where(OperatorRow.name == "boris"))
        reviewer = Operator("user", number, "boris")
        with unit_of_work() as transaction:
            review = take_next(transaction, reviewer=reviewer, clock=clock(), held=())
            add_note(transaction, review, "Called.", operator=reviewer)
            closing = NewClosing("refused", "documents_missing", "Nothing came.")
            close_review(transaction, review, closing, reviewer=reviewer)


def test_views_hold_nothing_personal_and_no_protected_attribute(app: Flask, database, product):
    with psycopg.connect(database.grafana) as connection:
        rows = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = 'public'"  # of those that the role may read
        ).fetchall()
        columns: dict[str, set[str]] = {}
        for view, column in rows:
            columns.setdefault(view, set()).add(column)
        for view in columns:
            connection.execute(f"SELECT * FROM {view}")
    assert columns == {name: set(text.split()) for name, text in COLUMNS.items()}
    shown = set().union(*columns.values())
    assert not shown & {f.name for f in product.fields if f.protected}


def test_the_view_of_fairness_holds_only_large_groups(app: Flask, database, query_at):
    """The owner of the tables cannot even store a small one."""
    row = "INSERT INTO fairness_groups VALUES ('2026-01-01', 'p', 'm', 'f', '{}', 30, {}, 20, {})"
    query_at(database.owner, row.format("a", 30, "NULL, NULL"))
    for decisions, outcomes in ((29, "NULL, NULL"), (60, "12, 3")):
        with pytest.raises(psycopg.errors.CheckViolation):
            query_at(database.owner, row.format("b", decisions, outcomes))
    with psycopg.connect(database.grafana) as connection:
        shown = connection.execute("SELECT * FROM v_fairness")
        assert [c.name for c in shown.description] == [
            *("month", "product", "model", "field", "group_name"),
            *("decisions", "granted", "outcomes", "bad"),
        ]
        assert [r[4:] for r in shown.fetchall()] == [("a", 30, 20, None, None)]


def test_grafana_role_is_read_only_with_timeouts(app: Flask, database):
    with psycopg.connect(database.grafana) as connection:
        assert connection.execute("SHOW default_transaction_read_only").fetchone() == ("on",)
        for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
            assert connection.execute(f"SHOW {limit}").fetchone() == ("30s",)


def test_roles_have_passwords_and_no_server_privileges(database):
    query = (
        "SELECT rolname, rolpassword LIKE 'SCRAM-SHA-256$%', rolcanlogin, "
        "rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls "
        "FROM pg_authid WHERE rolname ~ '^(loan_|grafana)' ORDER BY rolname"
    )
    with psycopg.connect(database.administrator) as connection:
        assert connection.execute(query).fetchall() == [
            ("grafana", True, True, False),
            ("loan_desk", True, True, False),
            ("loan_owner", True, True, False),
            ("loan_reader", None, False, False),
            ("loan_writer", None, False, False),
        ]


@pytest.mark.parametrize("role", ["owner", "desk", "grafana"])
@pytest.mark.parametrize("name", ["postgres", "template1"])
def test_roles_cannot_connect_to_other_databases(database, role, name):
    address = getattr(database, role).replace("/loan_desk?", f"/{name}?")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(address)
