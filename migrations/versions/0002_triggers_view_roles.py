"""The triggers that protect and count rows, and the roles, with what the service may do."""

from alembic import op

from ml.monitoring.bins import SCORE_BINS

revision = "0002"
down_revision = "0001"

# Amounts are shown in bands from 1, 2 and 5 times a power of ten, whatever the product's currency.
BANDS = [m * 10**e for e in range(3, 7) for m in (1, 2, 5)]
COUNTED_FACTS = ("decisions", "trials", "challenger_scores", "outcomes")  # a trigger counts their rows
# Never changed, never deleted.
FACTS = (
    *COUNTED_FACTS,
    "review_notes",
    "letters",
    "protected_answers",
    "desk_switches",
    "idempotency_keys",
    *("batches", "batch_decisions"),
    *("audit_lanes", "audit_log"),
)
# Never changed, erased as a whole.
CONTENTS = (
    "decision_contents",
    "trial_contents",
    "protected_attributes",
    "protected_answer_contents",
    "review_note_contents",
    "letter_contents",
)
# Of the watch, which can compute them again at any time.
RESULTS = (
    *("watched_hours", "decision_hours", "indexed_values", "training_scores"),
    *("field_counts", "field_stability", "score_evidence"),
    *("realised_months", "realised_bands", "calibration_evidence"),
    *("estimated_months", "estimated_figures", "challenger_evidence"),
    "store_checks",
    *("fairness_months", "fairness_groups"),
)
# How a review was opened never changes, nor does anything of one that is closed.
OPENED = ("id", "decision_id", "opened_at", "opened_by", "cause")
WORK = ("claimed_by", "claimed_at", "snoozed_until", "due_on", "closed_at", "closed_by", "result", "final", "code")
UPLOADS = ("refused_files", "checked_files")  # deleted after a day, or erased when they are decided
COUNTS = ("decision_counts", "trial_counts", "challenger_counts", "outcome_counts")  # changed only by triggers
CHANGED = "are never changed"
COUNTED = "are changed only by triggers"
KEYS = {
    "decisions": "id = NEW.id",
    "trials": "id = NEW.id",
    "decision_contents": "decision_id = NEW.decision_id",
    "trial_contents": "trial_id = NEW.trial_id",
    "protected_answers": "id = NEW.id",
    "protected_answer_contents": "decision_id = NEW.decision_id",
    "protected_attributes": "decision_id = NEW.decision_id AND field = NEW.field",
    "challenger_scores": "challenger = NEW.challenger AND decision_id = NEW.decision_id",
    "outcomes": "id = NEW.id OR decision_id = NEW.decision_id AND number = NEW.number",
    "reviews": "id = NEW.id OR decision_id = NEW.decision_id AND closed_at IS NULL AND NEW.closed_at IS NULL",
    "review_notes": "id = NEW.id",
    "review_note_contents": "note_id = NEW.note_id",
    "letters": "id = NEW.id OR decision_id = NEW.decision_id AND number = NEW.number",
    "letter_contents": "letter_id = NEW.letter_id",
    "idempotency_keys": "operator_id = NEW.operator_id AND digest = NEW.digest",
    "desk_switches": "id = NEW.id",
    "batches": "id = NEW.id",
    "batch_decisions": "batch_id = NEW.batch_id AND line = NEW.line OR decision_id = NEW.decision_id",
    "audit_lanes": "id = NEW.id",
    "audit_log": "lane = NEW.lane AND number = NEW.number",
}

KEEP_ON_SQLITE = """
CREATE TRIGGER {table}_no_{event} BEFORE {event} ON {table} {when} BEGIN
    SELECT RAISE({refusal});
END
"""
REFUSE_ON_POSTGRESQL = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% %', TG_TABLE_NAME, TG_ARGV[0];
END $$
"""
KEEP_ON_POSTGRESQL = """
CREATE TRIGGER {table}_keep BEFORE {events} ON {table}
    FOR EACH STATEMENT {when} EXECUTE FUNCTION refuse_change('{message}')
"""
KEEP_CLOSED_ON_POSTGRESQL = """
CREATE TRIGGER reviews_keep_closed BEFORE UPDATE ON reviews
    FOR EACH ROW WHEN ({closed}) EXECUTE FUNCTION refuse_change('{message}')
"""
# The triggers that count new rows. On PostgreSQL, one trigger call counts all rows of a statement;
# ORDER BY prevents a deadlock of two statements that count several kinds. SQLite cannot tell a
# trigger's statement from any other, so a row of `counting` marks that a trigger is running.
COUNT_ON_SQLITE = """
CREATE TRIGGER {table}_count AFTER INSERT ON {table} BEGIN
    INSERT INTO counting VALUES (1);
    INSERT INTO {counts} ({columns}, count) {select}
    ON CONFLICT ({columns}) DO UPDATE SET count = count + excluded.count;
    DELETE FROM counting;
END
"""
# It runs as the tables' owner: a role that may add decisions needs no right to write counts.
COUNT_ON_POSTGRESQL = """
CREATE FUNCTION {table}_count() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
BEGIN
    INSERT INTO {counts} AS c ({columns}, count) {select}
    GROUP BY {places} ORDER BY {places}
    ON CONFLICT ({columns}) DO UPDATE SET count = c.count + excluded.count;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION {table}_count() FROM PUBLIC;
CREATE TRIGGER {table}_count AFTER INSERT ON {table}
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION {table}_count();
"""
# Locks a lane that no other transaction uses, until the end of the transaction, and returns it with
# the number and the hash of its newest entry. If all are in use, it waits for the first and says so:
# the caller then opens another lane. It runs as the tables' owner, because a row lock needs the right
# to update.
TAKE_LANE = """
CREATE FUNCTION take_lane(OUT lane int, OUT number bigint, OUT hash bytea, OUT waited boolean)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
BEGIN
    SELECT l.id INTO lane FROM audit_lanes l ORDER BY l.id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
    waited := lane IS NULL;
    IF waited THEN
        SELECT l.id INTO lane FROM audit_lanes l WHERE l.id = 1 FOR NO KEY UPDATE;
    END IF;
    -- A new statement, which sees what was committed before the lane was locked.
    SELECT a.number, a.hash INTO number, hash FROM audit_log a
        WHERE a.lane = take_lane.lane ORDER BY a.number DESC LIMIT 1;
    PERFORM set_config('loan_desk.lane', lane::text, true);
END $$;
REVOKE EXECUTE ON FUNCTION take_lane() FROM PUBLIC;
"""
# Grafana's role is a member of loan_reader, whose rights follow with its views. The service's role is a member of loan_writer, unless
# it owns the tables. If the migration may not create roles, an administrator creates them before; a
# role that does not exist gets no rights.
ROLE = """
DO $$
BEGIN
    CREATE ROLE {role} NOLOGIN;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN RAISE NOTICE 'the role {role} is not there and may not be created';
END $$;
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
        {grants}
    END IF;
END $$;
"""
GRANTS = {
    "loan_reader": (),
    "loan_writer": (
        f"SELECT ON {', '.join(COUNTS)}, alembic_version",
        f"SELECT, INSERT ON {', '.join((*FACTS, *CONTENTS, 'reviews'))}",
        f"UPDATE ({', '.join(WORK)}) ON reviews",
        f"SELECT, INSERT, DELETE ON {', '.join(RESULTS)}",
        f"SELECT, INSERT, DELETE ON {', '.join(UPLOADS)}",
        "UPDATE (applications, run, seen_at, decided) ON checked_files",
        "SELECT, INSERT ON operators, users, api_keys",
        "SELECT, INSERT, DELETE ON user_roles, recovery_codes, sign_in_attempts",
        "UPDATE (password, password_is_temporary, active, fs_uniquifier, full_name) ON users",
        "UPDATE (totp_secret, totp_counter) ON users",
        "UPDATE (revoked_at) ON api_keys",
        "EXECUTE ON FUNCTION take_lane()",
        "USAGE ON SEQUENCE operators_id_seq, sign_in_attempts_id_seq, decisions_id_seq, trials_id_seq",
        "USAGE ON SEQUENCE reviews_id_seq, review_notes_id_seq",
        "USAGE ON SEQUENCE refused_files_id_seq, letters_id_seq",
        "USAGE ON SEQUENCE checked_files_id_seq",
    ),
}


def upgrade() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    if postgresql:
        # With space left on its page, a changed row stays there and needs no new index entry.
        op.execute("ALTER TABLE decision_counts SET (fillfactor = 50)")
        keep = [REFUSE_ON_POSTGRESQL, *keep_on_postgresql(), TAKE_LANE.format(schema=schema())]
    else:
        op.execute("CREATE TABLE counting (marked INTEGER NOT NULL)")
        keep = keep_on_sqlite()
    for statement in (*keep, *count(postgresql)):
        op.execute(statement)
    if postgresql:
        for role, rights in GRANTS.items():
            grants = " ".join(f"GRANT {right} TO {role};" for right in rights)
            op.execute(ROLE.format(role=role, grants=grants))


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        functions = ", ".join(f"{name}()" for name in ("refuse_change", "take_lane", *(f"{t}_count" for t in COUNTED_FACTS)))
        op.execute(f"DROP FUNCTION {functions} CASCADE")  # and the triggers that call them
    else:
        names = op.get_bind().exec_driver_sql("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
        for name in names.scalars().all():
            op.execute(f"DROP TRIGGER {name}")
        op.execute("DROP TABLE counting")


def keep_on_postgresql() -> list[str]:
    """Return the triggers that refuse every change except erased contents and counting."""
    kept = (
        (FACTS, "UPDATE OR DELETE OR TRUNCATE", "", CHANGED),
        (CONTENTS, "UPDATE OR TRUNCATE", "", CHANGED),
        (("reviews",), "DELETE OR TRUNCATE", "", CHANGED),
        (COUNTS, "INSERT OR UPDATE OR DELETE OR TRUNCATE", "WHEN (pg_trigger_depth() = 0)", COUNTED),
    )
    statements = [
        KEEP_ON_POSTGRESQL.format(table=table, events=events, when=when, message=message)
        for tables, events, when, message in kept
        for table in tables
    ]
    return [*statements, KEEP_CLOSED_ON_POSTGRESQL.format(closed=closed("IS DISTINCT FROM"), message=CHANGED)]


def keep_on_sqlite() -> list[str]:
    """Return the same for SQLite, where REPLACE deletes a row without running DELETE triggers."""
    exists = {t: f"WHEN EXISTS (SELECT 1 FROM {t} WHERE {key})" for t, key in KEYS.items()}
    uncounted = "WHEN NOT EXISTS (SELECT 1 FROM counting)"
    kept = [
        *((t, event, "", CHANGED) for t in FACTS for event in ("UPDATE", "DELETE")),
        *((t, "UPDATE", "", CHANGED) for t in CONTENTS),
        *(("reviews", event, when, CHANGED) for event, when in (("DELETE", ""), ("UPDATE", f"WHEN {closed('IS NOT')}"))),
        *((t, "INSERT", exists[t], CHANGED) for t in exists),
        *((t, event, uncounted, COUNTED) for t in COUNTS for event in ("INSERT", "UPDATE", "DELETE")),
    ]
    return [
        KEEP_ON_SQLITE.format(table=table, event=event, when=when, refusal=refusal(table, event, message))
        for table, event, when, message in kept
    ]


def closed(differs: str) -> str:
    """Return the SQL of whether a change to a review is refused."""
    return " OR ".join(["OLD.closed_at IS NOT NULL", *(f"OLD.{c} {differs} NEW.{c}" for c in OPENED)])


def refusal(table: str, event: str, message: str) -> str:
    # Two processes may score the same decision: the second score is ignored, and the first stays.
    return "IGNORE" if (table, event) == ("challenger_scores", "INSERT") else f"ABORT, '{table} {message}'"


def count(postgresql: bool) -> list[str]:
    """Return the triggers that keep the counts exact in the transaction of each row."""
    new = "added" if postgresql else "NEW"
    lane = "coalesce(nullif(current_setting('loan_desk.lane', true), ''), '0')::int"  # see take_lane
    decided = "decisions d" if postgresql else "decisions d WHERE d.id = NEW.decision_id"
    joined = f"FROM added JOIN {decided} ON d.id = added.decision_id" if postgresql else f"FROM {decided}"
    # A correction takes the outcome that counted before from its count.
    corrected = (
        f"FROM (SELECT 1 AS one, o.* FROM {{new}} UNION ALL SELECT -1, b.* FROM {{new}} "
        "JOIN outcomes b ON b.decision_id = o.decision_id AND b.number = o.number - 1) o "
        f"JOIN decisions d ON d.id = o.decision_id{'' if postgresql else ' WHERE true'}"
    ).format(new="added o" if postgresql else "(SELECT * FROM outcomes WHERE id = NEW.id) o")
    kinds = {
        ("decisions", "decision_counts", "FROM added" if postgresql else ""): {
            "hour": hour(f"{new}.created_at", postgresql),
            **{c: f"{new}.{c}" for c in ("product", "model", "channel", "decision", "model_decision", "basis")},
            "correction": f"{new}.corrects IS NOT NULL",
            "amount_from": band(f"{new}.amount"),
            "score_bin": score_bin(f"{new}.probability", postgresql),
            "slot": lane if postgresql else "0",
        },
        ("trials", "trial_counts", joined): {
            "hour": hour(f"{new}.created_at", postgresql),
            "product": "d.product",
            "model": "d.model",
            "model_decision": f"{new}.model_decision",
        },
        ("challenger_scores", "challenger_counts", joined): {
            "hour": hour("d.created_at", postgresql),
            "product": "d.product",
            "model": "d.model",
            "challenger": f"{new}.challenger",
            "model_decision": "d.model_decision",
            "challenger_decision": f"{new}.challenger_decision",
        },
        ("outcomes", "outcome_counts", corrected): {
            "decided_month": month("d.created_at AT TIME ZONE 'UTC'" if postgresql else "d.created_at", postgresql),
            "known_month": month("o.known_on::timestamp" if postgresql else "o.known_on", postgresql),
            "product": "d.product",
            "model": "d.model",
            "model_decision": "d.model_decision",
            "score_bin": score_bin("d.probability", postgresql),
            "outcome": "o.outcome",
        },
    }
    template = COUNT_ON_POSTGRESQL if postgresql else COUNT_ON_SQLITE
    return [
        template.format(
            table=table,
            schema=schema() if postgresql else "",
            counts=counts,
            columns=", ".join(columns),
            select=f"SELECT {', '.join(columns.values())}, {number(table, postgresql)} {source}{'' if postgresql or source else ' WHERE true'}",
            places=", ".join(map(str, range(1, len(columns) + 1))),
        )
        for (table, counts, source), columns in kinds.items()
    ]


def schema() -> str:
    return op.get_bind().exec_driver_sql("SELECT quote_ident(current_schema())").scalar()


def hour(moment: str, postgresql: bool) -> str:
    if postgresql:
        return f"date_trunc('hour', {moment}, 'UTC')"
    return f"substr({moment}, 1, 13) || ':00:00.000000'"  # as SQLAlchemy stores a datetime


def month(moment: str, postgresql: bool) -> str:
    """Return the SQL of the first day of a moment's month."""
    if postgresql:
        return f"date_trunc('month', {moment})::date"
    return f"substr({moment}, 1, 7) || '-01'"


def number(table: str, postgresql: bool) -> str:
    """Return the SQL of what a row, or the rows of a group, add to a count."""
    if table == "outcomes":
        return "sum(o.one)" if postgresql else "o.one"
    return "count(*)" if postgresql else "1"


def score_bin(probability: str, postgresql: bool) -> str:
    """Return the SQL of a probability's bin; each bin includes its upper limit."""
    scaled = f"{probability} * {SCORE_BINS}"
    if postgresql:
        return f"GREATEST(CEIL({scaled})::int - 1, 0)"
    whole = f"CAST({scaled} AS INTEGER)"
    return f"MAX({whole} - ({scaled} = {whole}), 0)"


def band(amount: str) -> str:
    """Return the SQL of the lower end of an amount's band."""
    lows = [0, *BANDS]
    cases = " ".join(f"WHEN {amount} < {high} THEN {low}" for low, high in zip(lows, BANDS))
    return f"CASE {cases} ELSE {BANDS[-1]} END"
