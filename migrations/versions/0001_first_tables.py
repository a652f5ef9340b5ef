"""The first tables: operators, decisions, trials, challengers' scores, reviews, counts, the audit log."""

import sqlalchemy as sa
from alembic import op

from ml.monitoring.bins import SCORE_BINS
from webapp.columns import MAX_ID, MAX_MEASURE, Identifier, Instant, now, within_moments
from webapp.decisions.tables import SEGMENT, Ordered
from webapp.ledger.tables import DIGEST_BYTES, SALT_BYTES

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_people()
    create_desk()
    create_decisions()
    create_trials()
    create_challengers()
    create_reviews()
    create_outcomes()
    create_uploads()
    create_letters()
    create_batches()
    create_monitoring()
    create_fairness()
    create_ledger()
    add_first_rows()


def downgrade() -> None:
    for table in (
        *("audit_log", "audit_lanes", "idempotency_keys"),
        *("fairness_groups", "fairness_months"),
        *("challenger_evidence", "estimated_figures", "estimated_months"),
        *("calibration_evidence", "realised_bands", "realised_months"),
        *("score_evidence", "field_stability", "field_counts", "watched_hours"),
        *("training_scores", "decision_hours"),
        "store_checks",
        *("batch_decisions", "batches", "checked_files", "refused_files"),
        *("letter_contents", "letters"),
        *("outcome_counts", "outcomes"),
        *("review_note_contents", "review_notes", "reviews"),
        *("challenger_counts", "challenger_scores", "trial_counts", "trial_contents", "trials"),
        *("protected_attributes", "protected_answer_contents", "protected_answers"),
        *("decision_counts", "indexed_values", "decision_contents", "decisions"),
        "desk_switches",
        *("api_keys", "sign_in_attempts", "recovery_codes", "user_roles", "users", "operators"),
    ):
        op.drop_table(table)


def moment(name: str) -> sa.Column:
    return sa.Column(name, Instant(timezone=True), nullable=False)


def text(name: str, length: int) -> sa.Column:
    return sa.Column(name, sa.String(length), nullable=False)


def number(name: str) -> sa.Column:
    return sa.Column(name, sa.Double(), nullable=False)


def probability(name: str = "probability") -> sa.Column:
    return number(name)


def binary(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.LargeBinary(), nullable=nullable)


def length(table: str, column: str, count: int) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"length({column}) = {count}", name=op.f(f"ck_{table}_{column}"))


def either(column: str) -> str:
    return f"{column} IN ('granted', 'refused')"


def json_kind(table: str, column: str, kind: str) -> sa.CheckConstraint:
    """Constrain a JSON column to one kind of value: SQLite itself accepts any text."""
    check = f"json_valid({column}) AND json_type({column}) = '{kind}'"
    if op.get_bind().dialect.name == "postgresql":
        check = f"json_typeof({column}) = '{kind}'"
    return sa.CheckConstraint(check, name=op.f(f"ck_{table}_{column}"))


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
        sa.Column("password_is_temporary", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        text("fs_uniquifier", 64),
        sa.Column("full_name", sa.String(120), nullable=True),
        sa.Column("totp_secret", sa.String(255), nullable=True),
        sa.Column("totp_counter", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["id"], ["operators.id"], name=op.f("fk_users_id_operators")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("fs_uniquifier", name=op.f("uq_users_fs_uniquifier")),
    )
    op.create_table(
        "user_roles",
        sa.Column("user_id", sa.Integer(), nullable=False),
        text("role", 8),
        sa.CheckConstraint("role IN ('clerk', 'reviewer', 'analyst', 'admin')", name=op.f("ck_user_roles_role")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_user_roles_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", "role", name=op.f("pk_user_roles")),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("user_id", sa.Integer(), nullable=False),
        text("digest", 64),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_recovery_codes_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", "digest", name=op.f("pk_recovery_codes")),
    )
    op.create_table(
        "sign_in_attempts",
        sa.Column("id", sa.Integer(), nullable=False),
        binary("digest"),
        moment("created_at"),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_attempts")),
    )
    op.create_index(op.f("ix_sign_in_attempts_digest"), "sign_in_attempts", ["digest"])
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        text("digest", 64),
        sa.Column("revoked_at", Instant(timezone=True), nullable=True),
        sa.Column("created_by", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["operators.id"], name=op.f("fk_api_keys_id_operators")),
        sa.ForeignKeyConstraint(["created_by"], ["operators.id"], name=op.f("fk_api_keys_created_by_operators")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_keys_digest")),
    )


def create_desk() -> None:
    op.create_table(
        "desk_switches",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        moment("created_at"),
        sa.Column("operator_id", sa.Integer(), nullable=False),
        sa.Column("referring", sa.Boolean(), nullable=False),
        text("reason", 500),
        sa.CheckConstraint(within_moments("created_at"), name=op.f("ck_desk_switches_created_at")),
        sa.CheckConstraint("length(reason) BETWEEN 1 AND 500", name=op.f("ck_desk_switches_reason")),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_desk_switches_operator_id_operators")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_desk_switches")),
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
        text("basis", 16),
        text("policy", 64),
        sa.Column("corrects", Identifier, nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("novelty", sa.Double(), nullable=False),
        sa.CheckConstraint(f"id > 0 AND id < {MAX_ID}", name=op.f("ck_decisions_id")),
        sa.CheckConstraint(within_moments("created_at"), name=op.f("ck_decisions_created_at")),
        sa.CheckConstraint("channel IN ('desk', 'api', 'batch')", name=op.f("ck_decisions_channel")),
        sa.CheckConstraint("probability BETWEEN 0 AND 1", name=op.f("ck_decisions_probability")),
        sa.CheckConstraint("threshold BETWEEN 0 AND 1", name=op.f("ck_decisions_threshold")),
        sa.CheckConstraint(
            "model_decision = CASE WHEN probability >= threshold THEN 'granted' ELSE 'refused' END",
            name=op.f("ck_decisions_model_decision"),
        ),
        # No policy rule may grant what the model refuses.
        sa.CheckConstraint(
            "CASE decision WHEN 'granted' THEN basis = 'model' AND model_decision = 'granted' "
            "WHEN 'refused' THEN basis = 'policy' OR basis = 'model' AND model_decision = 'refused' "
            "WHEN 'referred' THEN basis IN ('policy', 'tries', 'unusual', 'near_threshold', 'switch') "
            "ELSE false END",
            name=op.f("ck_decisions_basis"),
        ),
        sa.CheckConstraint("corrects > 0 AND corrects < id", name=op.f("ck_decisions_corrects")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_decisions_amount")),
        sa.CheckConstraint(
            f"novelty >= 0 AND novelty < {MAX_MEASURE:.0f}", name=op.f("ck_decisions_novelty")
        ),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_decisions_operator_id_operators")
        ),
        sa.ForeignKeyConstraint(
            ["corrects"], ["decisions.id"], name=op.f("fk_decisions_corrects_decisions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
    )
    op.create_index(op.f("ix_decisions_created_at"), "decisions", ["created_at"])
    corrects = sa.text("corrects IS NOT NULL")
    op.create_index(
        "ix_decisions_corrects",
        "decisions",
        ["corrects"],
        sqlite_where=corrects,
        postgresql_where=corrects,
    )
    op.create_index("ix_decisions_operator_id_created_at", "decisions", ["operator_id", "created_at", "id"])
    op.create_index("ix_decisions_model_created_at", "decisions", ["model", "created_at", "id"])
    op.create_table(
        "indexed_values",
        sa.Column("id", Identifier, nullable=False, autoincrement=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        probability(),
        sa.Column("novelty", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["decisions.id"], name=op.f("fk_indexed_values_id_decisions")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_indexed_values")),
    )
    segment = sa.text(f"(id / {SEGMENT})")
    for value in ("amount", "probability", "novelty"):
        op.create_index(f"ix_indexed_values_{value}", "indexed_values", [segment, value, "id"])
    op.create_table(
        "decision_contents",
        sa.Column("decision_id", Identifier, nullable=False, autoincrement=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("normalised", sa.JSON(), nullable=False),
        sa.Column("reasons", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("causes", sa.JSON(), nullable=False),
        sa.Column("reference", Ordered, nullable=True),
        binary("salt"),
        json_kind("decision_contents", "inputs", "object"),
        json_kind("decision_contents", "normalised", "object"),
        json_kind("decision_contents", "reasons", "array"),
        json_kind("decision_contents", "causes", "array"),
        sa.CheckConstraint(
            "length(reference) BETWEEN 1 AND 64", name=op.f("ck_decision_contents_reference")
        ),
        length("decision_contents", "salt", SALT_BYTES),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_decision_contents_decision_id_decisions")
        ),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_decision_contents")),
    )
    has_reference = sa.text("reference IS NOT NULL")
    op.create_index(
        "ix_decision_contents_reference",
        "decision_contents",
        ["reference", "decision_id"],
        sqlite_where=has_reference,
        postgresql_where=has_reference,
    )
    op.create_table(
        "protected_answers",
        sa.Column("id", Identifier, nullable=False, autoincrement=False),
        moment("created_at"),
        sa.Column("operator_id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            within_moments("created_at"), name=op.f("ck_protected_answers_created_at")
        ),
        sa.ForeignKeyConstraint(["id"], ["decisions.id"], name=op.f("fk_protected_answers_id_decisions")),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_protected_answers_operator_id_operators")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_protected_answers")),
    )
    op.create_table(
        "protected_answer_contents",
        sa.Column("decision_id", Identifier, nullable=False, autoincrement=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        length("protected_answer_contents", "salt", SALT_BYTES),
        sa.ForeignKeyConstraint(
            ["decision_id"],
            ["protected_answers.id"],
            name=op.f("fk_protected_answer_contents_decision_id_protected_answers"),
        ),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_protected_answer_contents")),
    )
    op.create_table(
        "protected_attributes",
        sa.Column("decision_id", Identifier, nullable=False, autoincrement=False),
        text("field", 64),
        text("value", 64),
        sa.CheckConstraint(
            "length(value) BETWEEN 1 AND 64", name=op.f("ck_protected_attributes_value")
        ),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_protected_attributes_decision_id_decisions")
        ),
        sa.PrimaryKeyConstraint("decision_id", "field", name=op.f("pk_protected_attributes")),
    )
    kind = (
        *("hour", "product", "model", "channel", "decision", "model_decision", "basis", "correction"),
        *("amount_from", "score_bin", "slot"),
    )
    op.create_table(
        "decision_counts",
        moment("hour"),
        text("product", 64),
        text("model", 64),
        text("channel", 8),
        text("decision", 8),
        text("model_decision", 8),
        text("basis", 16),
        sa.Column("correction", sa.Boolean(), nullable=False),
        sa.Column("amount_from", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("score_bin", sa.SmallInteger(), nullable=False, autoincrement=False),
        sa.Column("slot", sa.SmallInteger(), nullable=False, autoincrement=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            f"score_bin >= 0 AND score_bin < {SCORE_BINS}", name=op.f("ck_decision_counts_score_bin")
        ),
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
        sa.CheckConstraint(f"id > 0 AND id < {MAX_ID}", name=op.f("ck_trials_id")),
        sa.CheckConstraint(within_moments("created_at"), name=op.f("ck_trials_created_at")),
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
        binary("salt"),
        json_kind("trial_contents", "inputs", "object"),
        length("trial_contents", "salt", SALT_BYTES),
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
    # The challenger page reads only these rows, newest first.
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


def create_reviews() -> None:
    op.create_table(
        "reviews",
        sa.Column("id", Identifier, nullable=False),
        sa.Column("decision_id", Identifier, nullable=False),
        moment("opened_at"),
        sa.Column("opened_by", sa.Integer(), nullable=False),
        text("cause", 9),
        sa.Column("claimed_by", sa.Integer(), nullable=True),
        sa.Column("claimed_at", Instant(timezone=True), nullable=True),
        sa.Column("snoozed_until", sa.Date(), nullable=True),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("closed_at", Instant(timezone=True), nullable=True),
        sa.Column("closed_by", sa.Integer(), nullable=True),
        sa.Column("result", sa.String(17), nullable=True),
        sa.Column("final", sa.String(8), nullable=True),
        sa.Column("code", sa.String(32), nullable=True),
        sa.CheckConstraint(f"id > 0 AND id < {MAX_ID}", name=op.f("ck_reviews_id")),
        *(
            sa.CheckConstraint(within_moments(name), name=op.f(f"ck_reviews_{name}"))
            for name in ("opened_at", "snoozed_until", "due_on")
        ),
        sa.CheckConstraint(
            "cause IN ('referred', 'staff', 'applicant')", name=op.f("ck_reviews_cause")
        ),
        sa.CheckConstraint(
            "(claimed_by IS NULL) = (claimed_at IS NULL)", name=op.f("ck_reviews_claimed")
        ),
        sa.CheckConstraint(
            "result IN ('upheld', 'overturned_model', 'overturned_policy', 'overturned_review', "
            "'lapsed')",
            name=op.f("ck_reviews_result"),
        ),
        sa.CheckConstraint(either("final"), name=op.f("ck_reviews_final")),
        sa.CheckConstraint(
            "closed_at IS NULL AND closed_by IS NULL AND result IS NULL AND code IS NULL "
            "OR closed_at IS NOT NULL AND closed_by IS NOT NULL AND result IS NOT NULL "
            "AND code IS NOT NULL",
            name=op.f("ck_reviews_closed"),
        ),
        sa.CheckConstraint(
            "(final IS NOT NULL) = (result IS NOT NULL AND result <> 'lapsed')", name=op.f("ck_reviews_word")
        ),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_reviews_decision_id_decisions")
        ),
        *(
            sa.ForeignKeyConstraint([name], ["operators.id"], name=op.f(f"fk_reviews_{name}_operators"))
            for name in ("opened_by", "claimed_by", "closed_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reviews")),
    )
    op.create_index(op.f("ix_reviews_decision_id"), "reviews", ["decision_id"])
    is_closed = sa.text("closed_at IS NOT NULL")
    op.create_index(
        *("ix_reviews_closed_at", "reviews", ["closed_at"]),
        sqlite_where=is_closed,
        postgresql_where=is_closed,
    )
    # One open review a decision.
    is_open = sa.text("closed_at IS NULL")
    op.create_index(
        *("uq_reviews_open", "reviews", ["decision_id"]),
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.create_table(
        "review_notes",
        sa.Column("id", Identifier, nullable=False),
        moment("created_at"),
        sa.Column("review_id", Identifier, nullable=False),
        sa.Column("operator_id", sa.Integer(), nullable=False),
        text("kind", 9),
        sa.CheckConstraint(f"id > 0 AND id < {MAX_ID}", name=op.f("ck_review_notes_id")),
        sa.CheckConstraint(within_moments("created_at"), name=op.f("ck_review_notes_created_at")),
        sa.CheckConstraint(
            "kind IN ('note', 'statement', 'closing')", name=op.f("ck_review_notes_kind")
        ),
        sa.ForeignKeyConstraint(
            ["review_id"], ["reviews.id"], name=op.f("fk_review_notes_review_id_reviews")
        ),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_review_notes_operator_id_operators")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_notes")),
    )
    op.create_index(op.f("ix_review_notes_review_id"), "review_notes", ["review_id"])
    op.create_table(
        "review_note_contents",
        sa.Column("note_id", Identifier, nullable=False, autoincrement=False),
        sa.Column("text", sa.Text(), nullable=False),
        binary("salt"),
        length("review_note_contents", "salt", SALT_BYTES),
        sa.ForeignKeyConstraint(
            ["note_id"], ["review_notes.id"], name=op.f("fk_review_note_contents_note_id_review_notes")
        ),
        sa.PrimaryKeyConstraint("note_id", name=op.f("pk_review_note_contents")),
    )


def create_outcomes() -> None:
    op.create_table(
        "outcomes",
        sa.Column("id", Identifier, nullable=False, autoincrement=False),
        moment("created_at"),
        sa.Column("decision_id", Identifier, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("operator_id", sa.Integer(), nullable=False),
        text("outcome", 4),
        sa.Column("known_on", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(8), nullable=True),
        sa.CheckConstraint(f"id > 0 AND id < {MAX_ID}", name=op.f("ck_outcomes_id")),
        sa.CheckConstraint(within_moments("created_at"), name=op.f("ck_outcomes_created_at")),
        sa.CheckConstraint("number > 0", name=op.f("ck_outcomes_number")),
        sa.CheckConstraint("outcome IN ('good', 'bad')", name=op.f("ck_outcomes_outcome")),
        sa.CheckConstraint(within_moments("known_on"), name=op.f("ck_outcomes_known_on")),
        sa.CheckConstraint(
            "number = 1 AND reason IS NULL "
            "OR number > 1 AND reason IS NOT NULL AND reason IN ('mistake', 'changed', 'dispute')",
            name=op.f("ck_outcomes_reason"),
        ),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_outcomes_decision_id_decisions")
        ),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_outcomes_operator_id_operators")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outcomes")),
        sa.UniqueConstraint("decision_id", "number", name=op.f("uq_outcomes_decision_id_number")),
    )
    op.create_table(
        "outcome_counts",
        sa.Column("decided_month", sa.Date(), nullable=False),
        sa.Column("known_month", sa.Date(), nullable=False),
        text("product", 64),
        text("model", 64),
        text("model_decision", 8),
        sa.Column("score_bin", sa.SmallInteger(), nullable=False, autoincrement=False),
        text("outcome", 4),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            f"score_bin >= 0 AND score_bin < {SCORE_BINS}", name=op.f("ck_outcome_counts_score_bin")
        ),
        sa.PrimaryKeyConstraint(
            *("decided_month", "known_month", "product", "model", "model_decision", "score_bin", "outcome"),
            name=op.f("pk_outcome_counts"),
        ),
    )


def create_uploads() -> None:
    op.create_table(
        "refused_files",
        sa.Column("id", Identifier, nullable=False),
        moment("created_at"),
        sa.Column("operator_id", sa.Integer(), nullable=False),
        text("kind", 8),
        text("name", 120),
        sa.Column("wrong", sa.Text(), nullable=False),
        sa.CheckConstraint(f"id > 0 AND id < {MAX_ID}", name=op.f("ck_refused_files_id")),
        sa.CheckConstraint(within_moments("created_at"), name=op.f("ck_refused_files_created_at")),
        sa.CheckConstraint("kind IN ('batch', 'outcomes')", name=op.f("ck_refused_files_kind")),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_refused_files_operator_id_operators")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refused_files")),
    )
    op.create_index(op.f("ix_refused_files_created_at"), "refused_files", ["created_at"])


def create_letters() -> None:
    op.create_table(
        "letters",
        sa.Column("id", Identifier, nullable=False),
        moment("created_at"),
        sa.Column("decision_id", Identifier, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("operator_id", sa.Integer(), nullable=False),
        text("kind", 16),
        text("language", 2),
        text("regime", 2),
        text("template", 64),
        text("digest", 64),
        sa.CheckConstraint(f"id > 0 AND id < {MAX_ID}", name=op.f("ck_letters_id")),
        sa.CheckConstraint(within_moments("created_at"), name=op.f("ck_letters_created_at")),
        sa.CheckConstraint("number > 0", name=op.f("ck_letters_number")),
        sa.CheckConstraint(
            "kind IN ('granted', 'refused', 'refused_policy', 'referred', 'granted_review', 'refused_review')",
            name=op.f("ck_letters_kind"),
        ),
        sa.CheckConstraint("language IN ('en', 'fr')", name=op.f("ck_letters_language")),
        sa.CheckConstraint("regime IN ('eu', 'us')", name=op.f("ck_letters_regime")),
        length("letters", "digest", 64),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_letters_decision_id_decisions")
        ),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_letters_operator_id_operators")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_letters")),
        sa.UniqueConstraint("decision_id", "number", name=op.f("uq_letters_decision_id_number")),
    )
    op.create_table(
        "letter_contents",
        sa.Column("letter_id", Identifier, nullable=False, autoincrement=False),
        sa.Column("text", sa.JSON(), nullable=False),
        binary("salt"),
        # SQLite and PostgreSQL have different names for a JSON string.
        json_kind("letter_contents", "text", "text" if op.get_bind().dialect.name == "sqlite" else "string"),
        length("letter_contents", "salt", SALT_BYTES),
        sa.ForeignKeyConstraint(
            ["letter_id"], ["letters.id"], name=op.f("fk_letter_contents_letter_id_letters")
        ),
        sa.PrimaryKeyConstraint("letter_id", name=op.f("pk_letter_contents")),
    )


def create_batches() -> None:
    op.create_table(
        "checked_files",
        sa.Column("id", Identifier, nullable=False),
        moment("created_at"),
        sa.Column("operator_id", sa.Integer(), nullable=False),
        binary("submission"),
        binary("digest"),
        text("name", 120),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("applications", sa.Text(), nullable=True),
        sa.Column("run", sa.String(32), nullable=True),
        sa.Column("seen_at", Instant(timezone=True), nullable=True),
        sa.Column("decided", sa.Integer(), nullable=False),
        sa.CheckConstraint(f"id > 0 AND id < {MAX_ID}", name=op.f("ck_checked_files_id")),
        sa.CheckConstraint(within_moments("created_at"), name=op.f("ck_checked_files_created_at")),
        length("checked_files", "submission", DIGEST_BYTES),
        length("checked_files", "digest", DIGEST_BYTES),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_checked_files_operator_id_operators")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checked_files")),
        sa.UniqueConstraint(
            "operator_id", "submission", name=op.f("uq_checked_files_operator_id_submission")
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "batches",
        sa.Column("id", Identifier, nullable=False, autoincrement=False),
        moment("created_at"),
        sa.Column("operator_id", sa.Integer(), nullable=False),
        text("product", 64),
        text("model", 64),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("rows", "granted", "refused", "referred")),
        sa.CheckConstraint(f"id > 0 AND id < {MAX_ID}", name=op.f("ck_batches_id")),
        sa.CheckConstraint(within_moments("created_at"), name=op.f("ck_batches_created_at")),
        sa.CheckConstraint(
            "granted >= 0 AND refused >= 0 AND referred >= 0", name=op.f("ck_batches_counts")
        ),
        sa.CheckConstraint(
            "rows = granted + refused + referred AND rows > 0", name=op.f("ck_batches_rows")
        ),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_batches_operator_id_operators")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
    )
    op.create_table(
        "batch_decisions",
        sa.Column("batch_id", Identifier, nullable=False),
        sa.Column("line", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("decision_id", Identifier, nullable=False),
        sa.CheckConstraint("line > 1", name=op.f("ck_batch_decisions_line")),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batches.id"], name=op.f("fk_batch_decisions_batch_id_batches")
        ),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_batch_decisions_decision_id_decisions")
        ),
        sa.PrimaryKeyConstraint("batch_id", "line", name=op.f("pk_batch_decisions")),
        sa.UniqueConstraint("decision_id", name=op.f("uq_batch_decisions_decision_id")),
    )


def create_monitoring() -> None:
    """Create the tables of the watch, whose rows are computed from others and can be replaced."""
    op.create_table(
        "watched_hours",
        moment("hour"),
        text("product", 64),
        text("model", 64),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("decisions", "found", "rows", "unusual")
        ),
        sa.PrimaryKeyConstraint("hour", "product", "model", name=op.f("pk_watched_hours")),
    )
    miscounted = sa.text("found <> decisions")
    op.create_index(
        "ix_watched_hours_miscounted",
        "watched_hours",
        ["hour"],
        sqlite_where=miscounted,
        postgresql_where=miscounted,
    )
    op.create_table(
        "decision_hours",
        moment("hour"),
        text("dimension", 8),
        text("product", 64),
        text("model", 64),
        text("value", 64),
        text("decision", 8),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            *("hour", "dimension", "product", "model", "value", "decision"), name=op.f("pk_decision_hours")
        ),
        postgresql_partition_by="LIST (dimension)",
    )
    if op.get_bind().dialect.name == "postgresql":
        for name in ("channel", "operator", "amount", "score", "basis", "reason"):
            op.execute(
                f"CREATE TABLE decision_hours_{name} PARTITION OF decision_hours FOR VALUES IN ('{name}')"
            )
    op.create_table(
        "training_scores",
        text("product", 64),
        text("model", 64),
        sa.Column("score_bin", sa.SmallInteger(), nullable=False, autoincrement=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("product", "model", "score_bin", name=op.f("pk_training_scores")),
    )
    op.create_table(
        "field_counts",
        moment("hour"),
        text("product", 64),
        text("model", 64),
        text("field", 64),
        sa.Column("bin", sa.SmallInteger(), nullable=False, autoincrement=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            *("hour", "product", "model", "field", "bin"), name=op.f("pk_field_counts")
        ),
    )
    op.create_table(
        "field_stability",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("days", sa.SmallInteger(), nullable=False, autoincrement=False),
        text("product", 64),
        text("model", 64),
        text("field", 64),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("rows", "missing", "unusual")),
        number("stability"),
        number("bound"),
        sa.PrimaryKeyConstraint(
            *("day", "days", "product", "model", "field"), name=op.f("pk_field_stability")
        ),
    )
    op.create_table(
        "score_evidence",
        sa.Column("day", sa.Date(), nullable=False),
        text("product", 64),
        text("model", 64),
        sa.Column("decisions", sa.BigInteger(), nullable=False),
        number("evidence"),
        number("highest"),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("day", "product", "model", name=op.f("pk_score_evidence")),
    )
    op.create_table(
        "realised_months",
        sa.Column("month", sa.Date(), nullable=False),
        text("product", 64),
        text("model", 64),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("outcomes", "good")),
        number("expected"),
        number("brier"),
        *(sa.Column(name, sa.Double(), nullable=True) for name in ("roc_auc", "slope")),
        sa.PrimaryKeyConstraint("month", "product", "model", name=op.f("pk_realised_months")),
    )
    op.create_table(
        "realised_bands",
        sa.Column("month", sa.Date(), nullable=False),
        text("product", 64),
        text("model", 64),
        sa.Column("score_bin", sa.SmallInteger(), nullable=False, autoincrement=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("outcomes", "good")),
        number("expected"),
        sa.PrimaryKeyConstraint(
            *("month", "product", "model", "score_bin"), name=op.f("pk_realised_bands")
        ),
    )
    op.create_table(
        "calibration_evidence",
        sa.Column("period", sa.Date(), nullable=False),
        text("product", 64),
        text("model", 64),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("outcomes", "last_outcome")),
        sa.Column("ripe", sa.Date(), nullable=False),
        number("evidence"),
        number("highest"),
        *(
            sa.Column(name, sa.Double(), nullable=True)
            for name in ("roc_auc", "roc_auc_in_training", "worse")
        ),
        sa.PrimaryKeyConstraint("period", "product", "model", name=op.f("pk_calibration_evidence")),
    )
    op.create_table(
        "estimated_months",
        sa.Column("month", sa.Date(), nullable=False),
        text("product", 64),
        text("model", 64),
        sa.Column("decisions", sa.BigInteger(), nullable=False),
        number("effective"),
        sa.Column("trustworthy", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("month", "product", "model", name=op.f("pk_estimated_months")),
    )
    op.create_table(
        "estimated_figures",
        sa.Column("month", sa.Date(), nullable=False),
        text("product", 64),
        text("model", 64),
        text("figure", 16),
        *(number(name) for name in ("plain", "value", "low", "high", "in_training")),
        sa.PrimaryKeyConstraint(
            *("month", "product", "model", "figure"), name=op.f("pk_estimated_figures")
        ),
    )
    op.create_table(
        "store_checks",
        moment("verified_at"),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("bad_lanes", sa.Integer(), nullable=False),
        sa.Column("first_bad", sa.String(200), nullable=True),
        sa.Column("uncounted", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("verified_at", name=op.f("pk_store_checks")),
    )
    op.create_table(
        "challenger_evidence",
        sa.Column("period", sa.Date(), nullable=False),
        text("product", 64),
        text("model", 64),
        text("challenger", 64),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("scores", "outcomes", "last_outcome")),
        sa.Column("ripe", sa.Date(), nullable=False),
        *(number(name) for name in ("champion_brier", "challenger_brier")),
        *(number(name) for name in ("better", "better_highest", "worse", "worse_highest")),
        sa.PrimaryKeyConstraint(
            *("period", "product", "model", "challenger"), name=op.f("pk_challenger_evidence")
        ),
    )


def create_fairness() -> None:
    op.create_table(
        "fairness_months",
        sa.Column("month", sa.Date(), nullable=False),
        text("product", 64),
        text("model", 64),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("decisions", "last_outcome")),
        sa.PrimaryKeyConstraint("month", "product", "model", name=op.f("pk_fairness_months")),
    )
    checks = {
        "decisions": "smallest >= 2 AND decisions >= smallest",
        "granted": "granted BETWEEN 0 AND decisions",
        "outcomes": "outcomes >= smallest AND outcomes <= granted",
        "known": "(outcomes IS NULL) = (bad IS NULL)",
        "bad": "bad BETWEEN 0 AND outcomes",
    }
    op.create_table(
        "fairness_groups",
        sa.Column("month", sa.Date(), nullable=False),
        text("product", 64),
        text("model", 64),
        text("field", 64),
        text("group_name", 64),
        sa.Column("smallest", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("decisions", "granted")),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in ("outcomes", "bad")),
        *(sa.CheckConstraint(sql, name=op.f(f"ck_fairness_groups_{name}")) for name, sql in checks.items()),
        sa.PrimaryKeyConstraint(
            *("month", "product", "model", "field", "group_name"), name=op.f("pk_fairness_groups")
        ),
    )


def create_ledger() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("operator_id", sa.Integer(), nullable=False),
        binary("digest"),
        binary("fingerprint"),
        text("language", 2),
        sa.Column("decision_id", Identifier, nullable=True),
        sa.Column("outcome_id", Identifier, nullable=True),
        sa.CheckConstraint(
            "(decision_id IS NULL) <> (outcome_id IS NULL)", name=op.f("ck_idempotency_keys_use")
        ),
        *(length("idempotency_keys", column, DIGEST_BYTES) for column in ("digest", "fingerprint")),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_idempotency_keys_operator_id_operators")
        ),
        sa.ForeignKeyConstraint(
            ["decision_id"], ["decisions.id"], name=op.f("fk_idempotency_keys_decision_id_decisions")
        ),
        sa.ForeignKeyConstraint(
            ["outcome_id"], ["outcomes.id"], name=op.f("fk_idempotency_keys_outcome_id_outcomes")
        ),
        sa.PrimaryKeyConstraint("operator_id", "digest", name=op.f("pk_idempotency_keys")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_lanes",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_lanes")),
    )
    op.create_table(
        "audit_log",
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False, autoincrement=False),
        moment("created_at"),
        sa.Column("operator_id", sa.Integer(), nullable=False),
        text("event", 32),
        text("subject", 80),
        binary("facts", nullable=True),
        binary("commitment", nullable=True),
        binary("hash"),
        sa.CheckConstraint("number > 0", name=op.f("ck_audit_log_number")),
        sa.CheckConstraint(within_moments("created_at"), name=op.f("ck_audit_log_created_at")),
        *(length("audit_log", column, DIGEST_BYTES) for column in ("facts", "commitment", "hash")),
        sa.ForeignKeyConstraint(["lane"], ["audit_lanes.id"], name=op.f("fk_audit_log_lane_audit_lanes")),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_audit_log_operator_id_operators")
        ),
        sa.PrimaryKeyConstraint("lane", "number", name=op.f("pk_audit_log")),
        sqlite_with_rowid=False,
    )
    few = sa.text("event NOT IN ('decision.made', 'trial.made', 'outcome.recorded', 'protected.given')")
    op.create_index(
        "ix_audit_log_events", "audit_log", ["event", "created_at"], sqlite_where=few, postgresql_where=few
    )
    op.create_index(
        "ix_audit_log_subjects", "audit_log", ["subject", "event"], sqlite_where=few, postgresql_where=few
    )


def add_first_rows() -> None:
    """Add the operator of the commands, and the first lane of the audit log."""
    operators = sa.table("operators", sa.column("kind"), sa.column("name"), sa.column("created_at", Instant))
    op.bulk_insert(operators, [{"kind": "system", "name": "system", "created_at": now()}])
    op.bulk_insert(sa.table("audit_lanes", sa.column("id")), [{"id": 1}])
