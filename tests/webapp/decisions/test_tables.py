"""Tests of what the database refuses: changed rows, changed counts and invalid values."""

import re
import warnings
from datetime import timedelta

import pytest
from sqlalchemy import CheckConstraint, inspect
from sqlalchemy.exc import DBAPIError

from webapp.columns import FIRST_MOMENT, LAST_MOMENT, MAX_ID, MAX_MEASURE
from webapp.extensions import db

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
FACTS = ("decisions", "trials", "challenger_scores", "protected_answers")
CONTENTS = (
    *("decision_contents", "trial_contents"),
    *("protected_answer_contents", "protected_attributes"),
)
SALT = "0123456789abcdef"
COUNTS = ("decision_counts", "trial_counts", "challenger_counts")
NEVER_CHANGED = {
    "decisions": ("decision = 'refused'", "id = id + 1"),
    "trials": ("model_decision = 'refused'", "id = id + 1"),
    "challenger_scores": ("agrees = NOT agrees",),
    "decision_contents": ("inputs = '{}'",),
    "trial_contents": ("inputs = '{}'",),
    "protected_answers": ("operator_id = operator_id",),
    "protected_answer_contents": ("salt = salt",),
    "protected_attributes": ("value = 'single'", "field = 'another'"),
}


@pytest.fixture
def filled(put, refused, query):
    """The number of a decision with a trial and a challenger's score; every table has a row."""
    number = put(refused)
    query(
        "INSERT INTO trials (id, created_at, decision_id, operator_id, probability, model_decision)"
        " SELECT 1, created_at, id, operator_id, 0.75, 'granted' FROM decisions "
        f"WHERE id = {number}"
    )
    query(
        "INSERT INTO trial_contents (trial_id, inputs, salt) VALUES (1, '{}', '0123456789abcdef')"
    )
    query(
        "INSERT INTO challenger_scores SELECT 'knn', id, created_at, 0.25, 'refused', 1 = 1 "
        f"FROM decisions WHERE id = {number}"
    )
    query(
        "INSERT INTO protected_answers SELECT id, created_at, operator_id FROM decisions "
        f"WHERE id = {number}"
    )
    query(f"INSERT INTO protected_answer_contents VALUES ({number}, '{SALT}')")
    query(f"INSERT INTO protected_attributes VALUES ({number}, 'protected_age', '40')")
    return number


def test_rows_are_never_changed(filled, query, rows, config):
    before = rows()
    for table, assignments in NEVER_CHANGED.items():
        statements = [f"UPDATE {table} SET {assignment}" for assignment in assignments]
        if table in FACTS:
            statements += [f"DELETE FROM {table}"]
        if config.database_url:
            statements += [f"TRUNCATE {table} CASCADE"]
        for statement in statements:
            with pytest.raises(Exception, match=rf"\b{table} are never changed"):
                query(statement)
    assert rows() == before


@ON_SQLITE
def test_rows_are_never_replaced(filled, query, rows):
    before = rows()
    for table in (*FACTS, *CONTENTS):
        for verb in ("REPLACE", "INSERT OR REPLACE"):
            statement = f"{verb} INTO {table} SELECT * FROM {table}"
            if table == "challenger_scores":  # the existing row stays, without an error
                query(statement)
            else:
                with pytest.raises(Exception, match=f"{table} are never changed"):
                    query(statement)
        with pytest.raises(Exception, match=f"{table} are never changed"):
            query(f"UPDATE OR REPLACE {table} SET rowid = rowid + 1")
    assert rows() == before


def test_rows_are_never_changed_on_conflict(filled, query, rows):
    before = rows()
    with pytest.raises(Exception, match="decisions are never changed"):
        query(
            "INSERT INTO decisions SELECT * FROM decisions WHERE 1 = 1 "
            "ON CONFLICT (id) DO UPDATE SET amount = decisions.amount + 1"
        )
    assert rows() == before


def test_counts_are_changed_only_by_triggers(filled, query, rows, config):
    before = rows()
    for table in COUNTS:
        for statement in (
            f"UPDATE {table} SET count = count + 1",
            f"DELETE FROM {table}",
            f"INSERT INTO {table} SELECT * FROM {table}",
            f"TRUNCATE {table}"
            if config.database_url
            else f"REPLACE INTO {table} SELECT * FROM {table}",
        ):
            with pytest.raises(Exception, match=f"{table} are changed only by triggers"):
                query(statement)
    assert rows() == before


def test_contents_are_erased_as_a_whole(filled, query):
    counts = query("SELECT * FROM decision_counts")
    query("DELETE FROM decision_contents")
    query("DELETE FROM trial_contents")
    assert query("SELECT count(*) FROM decisions") == [(1,)]
    assert query("SELECT * FROM decision_counts") == counts


def test_decision_that_violates_a_constraint_is_refused(put, refused, query):
    both_refuse = {"model_decision": "refused", "decision": "refused"}
    for constraint, wrong in (
        ("id", {"id": -1}),
        ("id", {"id": MAX_ID}),
        ("created_at", {"created_at": FIRST_MOMENT - timedelta(days=1)}),
        ("created_at", {"created_at": LAST_MOMENT}),
        ("channel", {"channel": "post"}),
        ("probability", {"probability": 1.01}),
        ("probability", {"probability": -0.01}),
        ("threshold", {"threshold": 7.0}),
        ("threshold", {"threshold": -0.01}),
        ("model_decision", {"model_decision": "maybe"}),
        ("model_decision", {"model_decision": "granted"}),
        ("model_decision", {"probability": 0.75} | both_refuse),
        ("model_decision", {"threshold": 0.25} | both_refuse),
        ("basis", {"decision": "maybe"}),
        ("basis", {"decision": "granted"}),
        ("basis", {"decision": "granted", "basis": "policy"}),
        ("basis", {"basis": "unusual"}),
        ("basis", {"basis": "chance"}),
        ("basis", {"decision": "referred"}),
        ("basis", {"probability": 0.75, "model_decision": "granted", "decision": "refused"}),
        ("corrects", {"corrects": 0}),
        ("corrects", {"corrects": MAX_ID - 1}),
        ("amount", {"amount": 0}),
        ("amount", {"amount": -5}),
        ("novelty", {"novelty": -0.01}),
        ("novelty", {"novelty": float("inf")}),
    ):
        # A wrong word of the model is also no basis of the decision.
        also = "|basis" if constraint == "model_decision" else ""
        with pytest.raises(DBAPIError, match=f"ck_decisions_({constraint}{also})"):
            put(refused, **wrong)
    assert query("SELECT count(*) FROM decisions") == [(0,)]


def test_constraints_and_triggers_hold_after_a_row_was_tampered_with(
    filled, put, refused, query, tamper
):
    for assignment in ("probability = 7", "amount = -1"):
        tamper(assignment, filled)
    for constraint, wrong in (("probability", {"probability": 7.0}), ("amount", {"amount": -1})):
        with pytest.raises(DBAPIError, match=f"ck_decisions_{constraint}"):
            put(refused, **wrong)
    with pytest.raises(Exception, match="decisions are never changed"):
        query("UPDATE decisions SET amount = 1")
    assert query("SELECT probability, amount FROM decisions") == [(7, -1)]


def test_decision_at_the_limits_of_constraints_is_accepted(put, refused):
    put(refused, threshold=0.25)  # granted, because the probability equals the threshold
    put(refused, threshold=0.25, decision="refused", basis="policy")  # by a policy rule
    for basis in ("policy", "tries", "unusual", "near_threshold", "switch"):
        put(refused, decision="referred", basis=basis)
    put(refused, probability=0.0, amount=1, novelty=MAX_MEASURE - 1)


def test_contents_of_another_kind_of_json_are_refused(filled, query):
    query("DELETE FROM decision_contents")
    right = {"inputs": "'{}'", "normalised": "'{}'", "reasons": "'[]'", "causes": "'[]'"}
    columns = f"decision_id, salt, {', '.join(right)}"
    statement = f"INSERT INTO decision_contents ({columns}) VALUES ({{}}, '{SALT}', {{}})"
    for column in right:
        for wrong in ("''", "'{'", "'7'", "'{''a'': 1}'"):
            values = ", ".join((right | {column: wrong}).values())
            with pytest.raises(Exception, match=r"(?i)ck_decision_contents|json"):
                query(statement.format(filled, values))
    query(statement.format(filled, ", ".join(right.values())))


def test_constraints_are_those_of_the_models(app):
    with app.app_context():
        inspector = inspect(db.engine)
        for name, table in db.metadata.tables.items():
            checks = {c["name"] for c in inspector.get_check_constraints(name)}
            models = {str(c.name) for c in table.constraints if isinstance(c, CheckConstraint)}
            assert checks == models, name


def test_every_constraint_follows_the_naming_convention(app):
    pattern = re.compile(r"(pk|fk|uq|ck|ix)_[a-z_]+")
    with app.app_context(), warnings.catch_warnings():
        # SQLAlchemy does not read indexes on expressions; their names begin alike.
        warnings.filterwarnings("ignore", "Skipped unsupported reflection of expression-based")
        inspector = inspect(db.engine)
        for table in db.metadata.tables:
            key = inspector.get_pk_constraint(table)["name"]
            names = [] if key is None else [key]  # SQLite keeps no name beside AUTOINCREMENT
            for constraints in (
                inspector.get_unique_constraints,
                inspector.get_check_constraints,
                inspector.get_foreign_keys,
                inspector.get_indexes,
            ):
                names += [c["name"] for c in constraints(table)]
            for name in names:
                assert pattern.fullmatch(name), name
