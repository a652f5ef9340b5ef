"""The first tables, the triggers that keep and count their rows, and the view for Grafana."""

import sqlalchemy as sa
from alembic import op

from webapp.columns import SCORE_BINS, Identifier, Instant

revision = "0001"
down_revision = None

# Amounts are shown in bands from 1, 2 and 5 times a power of ten, whatever the product's currency.
BANDS = [m * 10**e for e in range(3, 7) for m in (1, 2, 5)]
SLOTS = 4  # see DecisionCount
FACTS = ("decisions", "trials", "challenger_scores")  # never changed, never deleted
CONTENTS = ("decision_contents", "trial_contents")  # never changed, erased as a whole

KEEP_ON_SQLITE = """
CREATE TRIGGER {table}_no_{event} BEFORE {event} ON {table} BEGIN
    SELECT RAISE(ABORT, '{table} are never changed');
END
"""
KEEP_ON_POSTGRESQL = """
CREATE FUNCTION {table}_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '{table} are never changed';
END $$;
CREATE TRIGGER {table}_keep BEFORE {events} ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION {table}_keep();
"""
# What a count is of: its columns, and how each is computed from a new row. On PostgreSQL one
# statement adds all its rows at once; the order keeps two statements that touch several kinds from
# waiting for each other in a circle.
COUNT_ON_SQLITE = """
CREATE TRIGGER {table}_count AFTER INSERT ON {table} BEGIN
    INSERT INTO {counts} ({columns}, count) {select}
    ON CONFLICT ({columns}) DO UPDATE SET count = count + 1;
END
"""
COUNT_ON_POSTGRESQL = """
CREATE FUNCTION {table}_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO {counts} AS c ({columns}, count) {select}
    GROUP BY {places} ORDER BY {places}
    ON CONFLICT ({columns}) DO UPDATE SET count = c.count + excluded.count;
    RETURN NULL;
END $$;
CREATE TRIGGER {table}_count AFTER INSERT ON {table}
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION {table}_count();
"""
# Who runs Grafana signs in as a member of this role. Where the migration may not create roles, an
# administrator does so before; without the role nothing is granted.
READER = """
DO $$
BEGIN
    CREATE ROLE loan_reader NOLOGIN;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN RAISE NOTICE 'the role loan_reader is not there and may not be created';
END $$;
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'loan_reader') THEN
        GRANT SELECT ON v_decisions TO loan_reader;
    END IF;
END $$;
"""


def upgrade() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    create_people()
    create_decisions()
    create_trials()
    create_challengers()
    if postgresql:
        # New versions of the counts' few rows stay on their pages, and so need no new index entries.
        op.execute("ALTER TABLE decision_counts SET (fillfactor = 50)")
    for statement in (*keep(postgresql), *count(postgresql)):
        op.execute(statement)
    op.execute(
        "CREATE VIEW v_decisions AS SELECT id, created_at, product, model, channel, "
        "decision = 'granted' AS granted, decision, model_decision, probability, threshold, novelty, "
        f"amount, {band_name('amount')} AS amount_band, {band('amount')} AS amount_from FROM decisions"
    )
    if postgresql:
        op.execute(READER)


def downgrade() -> None:
    op.execute("DROP VIEW v_decisions")
    for table in (
        *("challenger_counts", "challenger_scores", "trial_counts", "trial_contents", "trials"),
        *("idempotency_keys", "decision_counts", "decision_contents", "decisions"),
        *("api_keys", "users", "operators"),
    ):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        for table in (*FACTS, *CONTENTS):
            op.execute(f"DROP FUNCTION {table}_keep()")
        for table in FACTS:
            op.execute(f"DROP FUNCTION {table}_count()")


def keep(postgresql: bool) -> list[str]:
    """Return the triggers that refuse every change of a fact, and any of contents but erasure."""
    if postgresql:
        events = {"UPDATE OR DELETE OR TRUNCATE": FACTS, "UPDATE OR TRUNCATE": CONTENTS}
        return [
            KEEP_ON_POSTGRESQL.format(table=t, events=e) for e, kept in events.items() for t in kept
        ]
    events = {"UPDATE": (*FACTS, *CONTENTS), "DELETE": FACTS}
    return [KEEP_ON_SQLITE.format(table=t, event=e) for e, kept in events.items() for t in kept]


def count(postgresql: bool) -> list[str]:
    """Return the triggers that keep the counts exact in the transaction of each row."""
    new = "added" if postgresql else "NEW"
    decided = "decisions d" if postgresql else "decisions d WHERE d.id = NEW.decision_id"
    joined = f"FROM added JOIN {decided} ON d.id = added.decision_id" if postgresql else f"FROM {decided}"
    kinds = {
        ("decisions", "decision_counts", "FROM added" if postgresql else ""): {
            "hour": hour(f"{new}.created_at", postgresql),
            **{c: f"{new}.{c}" for c in ("product", "model", "channel", "decision")},
            "amount_from": band(f"{new}.amount"),
            "score_bin": score_bin(f"{new}.probability", postgresql),
            "slot": f"pg_backend_pid() % {SLOTS}" if postgresql else "0",
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
    }
    template = COUNT_ON_POSTGRESQL if postgresql else COUNT_ON_SQLITE
    number = "count(*)" if postgresql else "1"
    return [
        template.format(
            table=table,
            counts=counts,
            columns=", ".join(columns),
            select=f"SELECT {', '.join(columns.values())}, {number} {source}{'' if postgresql or source else ' WHERE true'}",
            places=", ".join(map(str, range(1, len(columns) + 1))),
        )
        for (table, counts, source), columns in kinds.items()
    ]


def hour(moment: str, postgresql: bool) -> str:
    if postgresql:
        return f"date_trunc('hour', {moment}, 'UTC')"
    return f"substr({moment}, 1, 13) || ':00:00.000000'"  # as SQLAlchemy writes a moment


def score_bin(probability: str, postgresql: bool) -> str:
    """Write the SQL that gives a probability's bin: its upper limit belongs to it."""
    scaled = f"{probability} * {SCORE_BINS}"
    if postgresql:
        return f"GREATEST(CEIL({scaled})::int - 1, 0)"
    whole = f"CAST({scaled} AS INTEGER)"
    return f"MAX({whole} - ({scaled} = {whole}), 0)"


def band(amount: str) -> str:
    """Write the SQL that gives the lower end of an amount's band."""
    lows = [0, *BANDS]
    cases = " ".join(f"WHEN {amount} < {high} THEN {low}" for low, high in zip(lows, BANDS))
    return f"CASE {cases} ELSE {BANDS[-1]} END"


def band_name(amount: str) -> str:
    """Write the SQL that gives an amount's band in words."""
    names = [f"under {BANDS[0]:,}", *(f"{low:,} to {high - 1:,}" for low, high in zip(BANDS, BANDS[1:]))]
    cases = " ".join(f"WHEN {amount} < {high} THEN '{name}'" for name, high in zip(names, BANDS))
    return f"CASE {cases} ELSE '{BANDS[-1]:,} and more' END"


def moment(name: str) -> sa.Column:
    return sa.Column(name, Instant(timezone=True), nullable=False)


def text(name: str, length: int) -> sa.Column:
    return sa.Column(name, sa.String(length), nullable=False)


def probability(name: str = "probability") -> sa.Column:
    return sa.Column(name, sa.Double(), nullable=False)


def either(column: str) -> str:
    return f"{column} IN ('granted', 'refused')"


def create_people() -> None:
    op.create_table(
        "operators",
        sa.Column("id", sa.Integer(), nullable=False),
        text("kind", 8),
        text("name", 64),
        moment("created_at"),
        sa.CheckConstraint("kind IN ('user', 'api_key', 'system')", name=op.f("ck_operators_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operators")),
        sa.UniqueConstraint("kind", "name", name=op.f("uq_operators_kind_name")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), nullable=False),
        text("password", 255),
        sa.Column("active", sa.Boolean(), nullable=False),
        text("fs_uniquifier", 64),
        sa.ForeignKeyConstraint(["id"], ["operators.id"], name=op.f("fk_users_id_operators")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("fs_uniquifier", name=op.f("uq_users_fs_uniquifier")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        text("digest", 64),
        sa.Column("revoked_at", Instant(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["id"], ["operators.id"], name=op.f("fk_api_keys_id_operators")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_keys_digest")),
    )


def create_decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", Identifier, nullable=False),
        moment("created_at"),
        sa.Column("operator_id", sa.Integer(), nullable=False),
        text("channel", 8),
        text("product", 64),
        text("model", 64),
        probability(),
        probability("threshold"),
        text("model_decision", 8),
        text("decision", 8),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("novelty", sa.Double(), nullable=False),
        sa.CheckConstraint("channel IN ('desk', 'api')", name=op.f("ck_decisions_channel")),
        sa.CheckConstraint("probability BETWEEN 0 AND 1", name=op.f("ck_decisions_probability")),
        sa.CheckConstraint("threshold BETWEEN 0 AND 1", name=op.f("ck_decisions_threshold")),
        sa.CheckConstraint(either("model_decision"), name=op.f("ck_decisions_model_decision")),
        sa.CheckConstraint(either("decision"), name=op.f("ck_decisions_decision")),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_decisions_operator_id_operators")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
    )
    op.create_index(op.f("ix_decisions_created_at"), "decisions", ["created_at"])
    op.create_table(
        "decision_contents",
        sa.Column("decision_id", Identifier, nullable=False, autoincrement=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("normalised", sa.JSON(), nullable=False),
        sa.Column("reasons", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_decision_contents_decision_id_decisions")
        ),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_decision_contents")),
    )
    op.create_table(
        "idempotency_keys",
        text("digest", 64),
        sa.Column("decision_id", Identifier, nullable=False),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_idempotency_keys_decision_id_decisions")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_idempotency_keys")),
    )
    kind = ("hour", "product", "model", "channel", "decision", "amount_from", "score_bin", "slot")
    op.create_table(
        "decision_counts",
        moment("hour"),
        text("product", 64),
        text("model", 64),
        text("channel", 8),
        text("decision", 8),
        sa.Column("amount_from", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("score_bin", sa.SmallInteger(), nullable=False, autoincrement=False),
        sa.Column("slot", sa.SmallInteger(), nullable=False, autoincrement=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(*kind, name=op.f("pk_decision_counts")),
    )


def create_trials() -> None:
    op.create_table(
        "trials",
        sa.Column("id", Identifier, nullable=False),
        moment("created_at"),
        sa.Column("decision_id", Identifier, nullable=False),
        sa.Column("operator_id", sa.Integer(), nullable=False),
        probability(),
        text("model_decision", 8),
        sa.CheckConstraint("probability BETWEEN 0 AND 1", name=op.f("ck_trials_probability")),
        sa.CheckConstraint(either("model_decision"), name=op.f("ck_trials_model_decision")),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_trials_decision_id_decisions")
        ),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_trials_operator_id_operators")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trials")),
    )
    op.create_index(op.f("ix_trials_decision_id"), "trials", ["decision_id"])
    op.create_table(
        "trial_contents",
        sa.Column("trial_id", Identifier, nullable=False, autoincrement=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["trial_id"], ["trials.id"], name=op.f("fk_trial_contents_trial_id_trials")
        ),
        sa.PrimaryKeyConstraint("trial_id", name=op.f("pk_trial_contents")),
    )
    op.create_table(
        "trial_counts",
        moment("hour"),
        text("product", 64),
        text("model", 64),
        text("model_decision", 8),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "hour", "product", "model", "model_decision", name=op.f("pk_trial_counts")
        ),
    )


def create_challengers() -> None:
    op.create_table(
        "challenger_scores",
        text("challenger", 64),
        sa.Column("decision_id", Identifier, nullable=False),
        moment("created_at"),
        probability(),
        text("challenger_decision", 8),
        sa.Column("agrees", sa.Boolean(), nullable=False),
        sa.CheckConstraint("probability BETWEEN 0 AND 1", name=op.f("ck_challenger_scores_probability")),
        sa.CheckConstraint(either("challenger_decision"), name=op.f("ck_challenger_scores_decision")),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_challenger_scores_decision_id_decisions")
        ),
        sa.PrimaryKeyConstraint("challenger", "decision_id", name=op.f("pk_challenger_scores")),
    )
    # The page of disagreements reads these few, newest first.
    op.create_index(
        "ix_challenger_scores_disagreements",
        "challenger_scores",
        ["challenger", "decision_id"],
        sqlite_where=sa.text("NOT agrees"),
        postgresql_where=sa.text("NOT agrees"),
    )
    kind = ("hour", "product", "model", "challenger", "model_decision", "challenger_decision")
    op.create_table(
        "challenger_counts",
        moment("hour"),
        text("product", 64),
        text("model", 64),
        text("challenger", 64),
        text("model_decision", 8),
        text("challenger_decision", 8),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(*kind, name=op.f("pk_challenger_counts")),
    )
