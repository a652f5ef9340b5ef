"""The first tables: users, API keys, decisions, their counts and the view for Grafana."""

import sqlalchemy as sa
from alembic import op

from webapp.columns import Instant

revision = "0001"
down_revision = None

# Amounts are shown in bands from 1, 2 and 5 times a power of ten, whatever the product's currency.
BANDS = [m * 10**e for e in range(3, 7) for m in (1, 2, 5)]


def band_cases() -> tuple[str, str]:
    """Write the SQL that gives an amount's band as words, and as its lower end to sort by."""
    words = [f"WHEN amount < {BANDS[0]} THEN 'under {BANDS[0]:,}'"]
    lower = [f"WHEN amount < {BANDS[0]} THEN 0"]
    for low, high in zip(BANDS, BANDS[1:]):
        words.append(f"WHEN amount < {high} THEN '{low:,} to {high - 1:,}'")
        lower.append(f"WHEN amount < {high} THEN {low}")
    last = BANDS[-1]
    return (
        f"CASE {' '.join(words)} ELSE '{last:,} and more' END",
        f"CASE {' '.join(lower)} ELSE {last} END",
    )


COUNT_ON_SQLITE = """
CREATE TRIGGER decisions_count AFTER INSERT ON decisions BEGIN
    INSERT INTO decision_counts (product, model, channel, granted, slot, count)
    VALUES (NEW.product, NEW.model, NEW.channel, NEW.granted, 0, 1)
    ON CONFLICT (product, model, channel, granted, slot) DO UPDATE SET count = count + 1;
END
"""
KEEP_ON_SQLITE = """
CREATE TRIGGER decisions_no_{verb} BEFORE {verb} ON decisions BEGIN
    SELECT RAISE(ABORT, 'decisions are never changed');
END
"""
# One statement adds all its rows at once, in one slot of its session's; see DecisionCount. The order keeps two
# statements that touch several kinds from waiting for each other in a circle.
COUNT_ON_POSTGRESQL = """
CREATE FUNCTION decisions_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO decision_counts AS c (product, model, channel, granted, slot, count)
    SELECT product, model, channel, granted, pg_backend_pid() % 16, count(*)
    FROM added GROUP BY product, model, channel, granted ORDER BY product, model, channel, granted
    ON CONFLICT (product, model, channel, granted, slot) DO UPDATE SET count = c.count + excluded.count;
    RETURN NULL;
END $$;
CREATE TRIGGER decisions_count AFTER INSERT ON decisions
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION decisions_count();
"""
KEEP_ON_POSTGRESQL = """
CREATE FUNCTION decisions_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'decisions are never changed';
END $$;
CREATE TRIGGER decisions_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON decisions
    FOR EACH STATEMENT EXECUTE FUNCTION decisions_keep();
"""
# Who runs Grafana signs in as a member of this role. Where the migration may not create roles, an administrator
# does so before; without the role nothing is granted.
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
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("revoked_at", Instant(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_keys_digest")),
        sa.UniqueConstraint("name", name=op.f("uq_api_keys_name")),
    )
    op.create_table(
        "decision_counts",
        sa.Column("product", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("slot", sa.SmallInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "product", "model", "channel", "granted", "slot", name=op.f("pk_decision_counts")
        ),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("username", sa.String(length=64), nullable=False),
        sa.Column("password", sa.String(length=255), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("fs_uniquifier", sa.String(length=64), nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("fs_uniquifier", name=op.f("uq_users_fs_uniquifier")),
        sa.UniqueConstraint("username", name=op.f("uq_users_username")),
    )
    op.create_table(
        "decisions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("api_key_id", sa.Integer(), nullable=True),
        sa.Column("product", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("probability", sa.Double(), nullable=False),
        sa.Column("threshold", sa.Double(), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("normalised", sa.JSON(), nullable=False),
        sa.Column("submission", sa.String(length=64), nullable=True),
        sa.CheckConstraint("channel IN ('desk', 'api')", name=op.f("ck_decisions_channel")),
        sa.CheckConstraint(
            "(user_id IS NULL) <> (api_key_id IS NULL)", name=op.f("ck_decisions_one_operator")
        ),
        sa.CheckConstraint("probability BETWEEN 0 AND 1", name=op.f("ck_decisions_probability")),
        sa.ForeignKeyConstraint(
            ["api_key_id"], ["api_keys.id"], name=op.f("fk_decisions_api_key_id_api_keys")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_decisions_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
        sa.UniqueConstraint("submission", name=op.f("uq_decisions_submission")),
    )
    with op.batch_alter_table("decisions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_decisions_created_at"), ["created_at"], unique=False)
    postgresql = op.get_bind().dialect.name == "postgresql"
    if postgresql:
        # New versions of the counts' few rows stay on their pages, and so need no new index entries.
        op.execute("ALTER TABLE decision_counts SET (fillfactor = 50)")
        op.execute(COUNT_ON_POSTGRESQL)
        op.execute(KEEP_ON_POSTGRESQL)
    else:
        op.execute(COUNT_ON_SQLITE)
        op.execute(KEEP_ON_SQLITE.format(verb="UPDATE"))
        op.execute(KEEP_ON_SQLITE.format(verb="DELETE"))
    words, lower = band_cases()
    granted = "CASE WHEN granted THEN 'granted' ELSE 'refused' END"
    op.execute(
        "CREATE VIEW v_decisions AS SELECT id, created_at, product, model, channel, granted, "
        f"{granted} AS decision, probability, threshold, amount, {words} AS amount_band, "
        f"{lower} AS amount_from FROM decisions"
    )
    if postgresql:
        op.execute(READER)


def downgrade() -> None:
    op.execute("DROP VIEW v_decisions")
    op.drop_table("decisions")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION decisions_count()")
        op.execute("DROP FUNCTION decisions_keep()")
    op.drop_table("users")
    op.drop_table("decision_counts")
    op.drop_table("api_keys")
