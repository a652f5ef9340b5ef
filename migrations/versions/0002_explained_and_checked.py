"""Reasons and out-of-range marks of decisions; trials; what a challenger would have decided."""

import sqlalchemy as sa
from alembic import op

from webapp.columns import Instant

revision = "0002"
down_revision = "0001"

IDENTIFIER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEPT = ("trials", "challenger_scores")
KEEP_ON_SQLITE = """
CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table} BEGIN
    SELECT RAISE(ABORT, '{table} are never changed');
END
"""
KEEP_ON_POSTGRESQL = """
CREATE FUNCTION {table}_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '{table} are never changed';
END $$;
CREATE TRIGGER {table}_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION {table}_keep();
"""
# One process a replica writes these, a batch at a time, so a kind of its own row is not worth spreading.
COUNT_ON_SQLITE = """
CREATE TRIGGER challenger_scores_count AFTER INSERT ON challenger_scores BEGIN
    INSERT INTO challenger_counts (product, model, challenger, granted, challenger_granted, count)
    SELECT product, model, NEW.challenger, granted, NEW.granted, 1 FROM decisions WHERE id = NEW.decision_id
    ON CONFLICT (product, model, challenger, granted, challenger_granted) DO UPDATE SET count = count + 1;
END
"""
COUNT_ON_POSTGRESQL = """
CREATE FUNCTION challenger_scores_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO challenger_counts AS c (product, model, challenger, granted, challenger_granted, count)
    SELECT d.product, d.model, a.challenger, d.granted, a.granted, count(*)
    FROM added a JOIN decisions d ON d.id = a.decision_id GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (product, model, challenger, granted, challenger_granted)
    DO UPDATE SET count = c.count + excluded.count;
    RETURN NULL;
END $$;
CREATE TRIGGER challenger_scores_count AFTER INSERT ON challenger_scores
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION challenger_scores_count();
"""


def upgrade() -> None:
    # Plain ADD COLUMN, which both databases do at once; the triggers that keep decisions stay as they are.
    op.add_column("decisions", sa.Column("reasons", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("decisions", sa.Column("out_of_range", sa.Boolean(), nullable=True))
    op.create_table(
        "trials",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("decision_id", IDENTIFIER, nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("probability", sa.Double(), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_trials_decision_id_decisions")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_trials_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trials")),
    )
    op.create_index(op.f("ix_trials_decision_id"), "trials", ["decision_id"])
    op.create_table(
        "challenger_scores",
        sa.Column("decision_id", IDENTIFIER, nullable=False),
        sa.Column("challenger", sa.String(length=64), nullable=False),
        sa.Column("probability", sa.Double(), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("agrees", sa.Boolean(), nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
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
    op.create_table(
        "challenger_counts",
        sa.Column("product", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("challenger", sa.String(length=64), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("challenger_granted", sa.Boolean(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "product", "model", "challenger", "granted", "challenger_granted", name=op.f("pk_challenger_counts")
        ),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(COUNT_ON_POSTGRESQL)
        for table in KEPT:
            op.execute(KEEP_ON_POSTGRESQL.format(table=table))
    else:
        op.execute(COUNT_ON_SQLITE)
        for table in KEPT:
            op.execute(KEEP_ON_SQLITE.format(table=table, verb="UPDATE"))
            op.execute(KEEP_ON_SQLITE.format(table=table, verb="DELETE"))


def downgrade() -> None:
    op.drop_table("challenger_counts")
    op.drop_table("challenger_scores")
    op.drop_table("trials")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION challenger_scores_count()")
        for table in KEPT:
            op.execute(f"DROP FUNCTION {table}_keep()")
    op.drop_column("decisions", "out_of_range")
    op.drop_column("decisions", "reasons")
