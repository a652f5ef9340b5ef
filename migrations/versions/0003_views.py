"""The views that Grafana reads: nothing personal, of protected attributes only counts of large groups."""

from alembic import op

from ml.monitoring.bins import SCORE_BINS

revision = "0003"
down_revision = "0002"

# The start of each band, as the trigger of 0002 counts them.
BANDS = [m * 10**e for e in range(3, 7) for m in (1, 2, 5)]
HOUR = ("hour", "product", "model")
# Columns that are shown as they are stored: personal ones, names and states of tests are left out.
SHOWN = {
    "v_training_scores": ("training_scores", ("product", "model", "score_bin", "count")),
    "v_watched_hours": ("watched_hours", (*HOUR, "decisions", "rows", "unusual")),
    "v_challenger_hours": (
        "challenger_counts",
        (*HOUR, "challenger", "model_decision", "challenger_decision", "count"),
    ),
}
# The same with columns of days, which are shown as the moment at which the day begins in UTC.
BY_DAY = {
    "v_field_stability": (
        "field_stability",
        ("day",),
        (
            *("days", "product", "model", "CASE field WHEN '' THEN 'score' ELSE field END AS field"),
            *("rows", "missing", "unusual", "stability", "bound"),
        ),
    ),
    "v_score_evidence": (
        "score_evidence",
        ("day",),
        ("product", "model", "decisions", "evidence", "highest"),
    ),
    "v_realised_months": (
        "realised_months",
        ("month",),
        ("product", "model", "outcomes", "good", "expected", "brier", "roc_auc"),
    ),
    "v_estimates": (
        "estimated_figures JOIN estimated_months USING (month, product, model)",
        ("month",),
        (
            *("product", "model", "decisions", "trustworthy", "figure"),
            *("plain", "value", "low", "high", "in_training"),
        ),
    ),
    "v_realised_bands": (
        "realised_bands",
        ("month",),
        ("product", "model", "score_bin", "outcomes", "good", "expected"),
    ),
    "v_outcome_counts": (
        "outcome_counts",
        ("decided_month", "known_month"),
        ("product", "model", "model_decision", "score_bin", "outcome", "count"),
    ),
    "v_calibration_evidence": (
        "calibration_evidence",
        ("period",),
        ("product", "model", "outcomes", "evidence", "highest", "roc_auc", "roc_auc_in_training", "worse"),
    ),
    "v_fairness": (
        "fairness_groups",
        ("month",),
        ("product", "model", "field", "group_name", "decisions", "granted", "outcomes", "bad"),
    ),
}
DECISIONS = """
CREATE VIEW v_decisions AS SELECT id, created_at, product, model, channel, decision, model_decision,
    probability, threshold, novelty, amount FROM decisions
"""
# Hours that the watch has not broken down yet are counted from what the triggers keep, so that the
# newest decisions are shown. The kind of operator and the reasons follow when the hour has ended.
HOURS = """
CREATE VIEW v_decision_hours AS
    SELECT dimension, hour, product, model, value, decision, count FROM decision_hours
"""
COUNT = """
    UNION ALL SELECT '{dimension}', hour, product, model, {value}, decision, count FROM decision_counts
    WHERE NOT correction AND hour {newer}
"""
LAST = "(SELECT max(hour) FROM decision_hours WHERE dimension = 'channel')"
NEWER_ON_SQLITE = f"> coalesce({LAST}, '')"
# As a list of hours, because PostgreSQL takes a third of the table to be later than an unknown hour,
# and would read all of it.
NEWER_ON_POSTGRESQL = f"""= ANY (ARRAY(SELECT generate_series(
    coalesce({LAST} + interval '1 hour', (SELECT min(hour) FROM decision_counts)),
    now() + interval '1 hour', interval '1 hour')))
"""
COUNTED = {
    "channel": "channel",
    "basis": "basis",
    "amount": "CAST(amount_from AS VARCHAR(64))",
    "score": "CAST(score_bin AS VARCHAR(64))",
}
# The condition on events is that of the partial index.
ACTIVATIONS = """
CREATE VIEW v_activations AS SELECT created_at, substr(subject, 7) AS model FROM audit_log
    WHERE event = 'bundle.activated' AND event NOT IN ('decision.made', 'trial.made', 'outcome.recorded')
"""
# The review that has the final word on a decision: the last one that left a word.
HAS_THE_WORD = """{r}.final IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM reviews later
    WHERE later.decision_id = {r}.decision_id AND later.id > {r}.id AND later.final IS NOT NULL)"""
FINAL_DECISIONS = f"""
CREATE VIEW v_final_decisions AS
    SELECT d.id, d.created_at, d.product, d.model, d.decision, d.model_decision,
        coalesce(r.final, d.decision) AS final, r.closed_at AS reviewed_at
    FROM decisions d LEFT JOIN reviews r ON r.decision_id = d.id AND {HAS_THE_WORD.format(r="r")}
"""
# Who reviewed is left out: Grafana shows nobody's name.
REVIEWS = f"""
CREATE VIEW v_reviews AS
    SELECT r.id, r.opened_at, r.cause, r.claimed_at, r.closed_at, r.result, r.final, r.code,
        d.created_at AS decided_at, d.product, d.model, d.decision, d.model_decision, d.probability,
        CASE WHEN {HAS_THE_WORD.format(r="r")} THEN 1 ELSE 0 END AS has_the_word, o.outcome
    FROM reviews r JOIN decisions d ON d.id = r.decision_id
    LEFT JOIN outcomes o ON o.decision_id = r.decision_id AND NOT EXISTS (
        SELECT 1 FROM outcomes later WHERE later.decision_id = o.decision_id AND later.number > o.number)
"""
# The loans for which a model answers: granted, but not by a person against it. Decisions are counted
# by hour; corrections, and what reviews have changed, are few.
GRANTED_LOANS = f"""
CREATE VIEW v_granted_loans AS
    SELECT hour AS decided_at, product, model, count AS loans FROM v_decision_hours
    WHERE dimension = 'channel' AND decision = 'granted'
    UNION ALL
    SELECT created_at, product, model, 1 FROM decisions
    WHERE corrects IS NOT NULL AND decision = 'granted'
    UNION ALL
    SELECT d.created_at, d.product, d.model, CASE r.final WHEN 'granted' THEN 1 ELSE -1 END
    FROM reviews r JOIN decisions d ON d.id = r.decision_id
    WHERE {HAS_THE_WORD.format(r="r")} AND d.model_decision = 'granted' AND r.final <> d.decision
        AND 'granted' IN (r.final, d.decision)
"""
OF_REVIEWS = {
    "v_final_decisions": FINAL_DECISIONS,
    "v_reviews": REVIEWS,
    "v_granted_loans": GRANTED_LOANS,
}
VIEWS = (*OF_REVIEWS, "v_activations", "v_bands", "v_decision_hours", "v_decisions", *SHOWN, *BY_DAY)
GRANT = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'loan_reader') THEN
        GRANT SELECT ON {views} TO loan_reader;
    END IF;
END $$;
"""


def upgrade() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    for name, (table, columns) in SHOWN.items():
        op.execute(f"CREATE VIEW {name} AS SELECT {', '.join(columns)} FROM {table}")
    for name, (table, days, columns) in BY_DAY.items():
        starts = [f"{midnight(day, postgresql)} AS {day}" for day in days]
        op.execute(f"CREATE VIEW {name} AS SELECT {', '.join([*starts, *columns])} FROM {table}")
    newer = NEWER_ON_POSTGRESQL if postgresql else NEWER_ON_SQLITE
    counted = [COUNT.format(dimension=name, value=value, newer=newer) for name, value in COUNTED.items()]
    op.execute(HOURS + "".join(counted))
    op.execute(f"CREATE VIEW v_bands AS {' UNION ALL '.join(bands())}")
    op.execute(ACTIVATIONS)
    op.execute(DECISIONS)
    for statement in OF_REVIEWS.values():
        op.execute(statement)
    if postgresql:
        op.execute(GRANT.format(views=", ".join(VIEWS)))


def downgrade() -> None:
    for name in VIEWS:
        op.execute(f"DROP VIEW {name}")


def midnight(day: str, postgresql: bool) -> str:
    return f"({day}::timestamp AT TIME ZONE 'UTC')" if postgresql else f"{day} || ' 00:00:00.000000'"


def bands() -> list[str]:
    """Return the queries of the bands of amounts and of scores: value, place in order and name."""
    lows = [0, *BANDS]
    amounts = [f"under {BANDS[0]:,}", *(f"{low:,} to {high - 1:,}" for low, high in zip(BANDS, BANDS[1:]))]
    scores = [f"{i / SCORE_BINS:.2f} to {(i + 1) / SCORE_BINS:.2f}" for i in range(SCORE_BINS)]
    named = [
        *(("amount", low, name) for low, name in zip(lows, [*amounts, f"{BANDS[-1]:,} and more"])),
        *(("score", place, name) for place, name in enumerate(scores)),
    ]
    return [
        f"SELECT '{dimension}' AS dimension, '{place}' AS value, {place} AS place, '{name}' AS name"
        for dimension, place, name in named
    ]
