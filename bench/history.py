"""Fills a PostgreSQL database with two years of decisions, and with what the watch makes of them.

Decisions are stored by statements of many rows, and the real trigger counts them. The results of
the watch are made of these counts by SQL, because the watch reads the contents of each decision,
which no dashboard shows and which would take days to make.
"""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import psycopg

DAYS = 730
SEED = 0.5
CHUNKS = 24  # statements that store the decisions
RARE = 50  # decisions of a product that was given up
FIELDS = 11
ATTRIBUTES, GROUPS = 3, 6  # protected ones, and the groups of each
OPERATORS = """
INSERT INTO operators (kind, name, created_at)
VALUES ('user', 'bench-clerk', now()), ('api_key', 'bench-branches', now()) RETURNING id
"""
DECISIONS = """
INSERT INTO decisions (created_at, operator_id, channel, product, model, probability, threshold,
                       model_decision, decision, basis, policy, amount, novelty)
SELECT created_at, CASE WHEN api THEN %(api)s ELSE %(clerk)s END,
       CASE WHEN api THEN 'api' ELSE 'desk' END, product,
       product || CASE WHEN created_at < %(middle)s THEN '-older' ELSE '-newer' END,
       probability, 0.75, decision, CASE WHEN novelty > 1 THEN 'referred' ELSE decision END,
       CASE WHEN novelty > 1 THEN 'unusual' ELSE 'model' END, 'policy-00000000', amount, novelty
FROM (
    SELECT created_at, api, product, probability, amount, novelty,
           CASE WHEN probability >= 0.75 THEN 'granted' ELSE 'refused' END AS decision
    FROM (
        SELECT %(first)s + n * %(step)s AS created_at, random() < 0.7 AS api,
               CASE WHEN random() < 0.6 THEN 'consumer_credit' ELSE 'mortgage' END AS product,
               random() ^ 0.4 AS probability, (400 * exp(random() * 6))::bigint AS amount,
               random() * 1.02 AS novelty
        FROM generate_series(%(low)s::bigint, %(high)s::bigint - 1) AS n
    ) AS drawn
) AS decided
"""
GIVEN_UP = """
INSERT INTO decisions (created_at, operator_id, channel, product, model, probability, threshold,
                       model_decision, decision, basis, policy, amount, novelty)
SELECT %(first)s + n * interval '1 hour', %(api)s, 'api', 'given_up', 'oldest', 0.9, 0.75,
       'granted', 'granted', 'model', 'policy-00000000', 1000, 0
FROM generate_series(1, %(rows)s) AS n
"""
# A person closes nine of ten reviews within a day, and one of eight against the model.
REVIEWS = """
INSERT INTO reviews (decision_id, opened_at, opened_by, cause, claimed_by, claimed_at, closed_at,
                     closed_by, result, final, code)
SELECT id, created_at, operator_id, 'referred', closed_by, closed_at, closed_at, closed_by,
       CASE WHEN closed THEN CASE WHEN against THEN 'overturned_model' ELSE 'upheld' END END,
       CASE WHEN closed THEN CASE WHEN (model_decision = 'granted') = against THEN 'refused'
                                  ELSE 'granted' END END,
       CASE WHEN closed THEN 'income_verified' END
FROM (
    SELECT *, CASE WHEN closed THEN created_at + interval '1 day' END AS closed_at,
           CASE WHEN closed THEN %(clerk)s::int END AS closed_by
    FROM (SELECT *, id %% 10 > 0 AS closed, id %% 8 = 0 AS against
          FROM decisions WHERE decision = 'referred') AS referred
) AS reviewed
"""
# The tables of the watch, each made of the counts of whole hours.
KIND = "hour, product, model"
DERIVED = (
    *(
        f"""
        INSERT INTO decision_hours (dimension, {KIND}, value, decision, count)
        SELECT '{dimension}', {KIND}, {value}, decision, sum(count)
        FROM decision_counts WHERE hour < %(hour)s
        GROUP BY {KIND}, {value}, decision ORDER BY hour
        """
        for dimension, value in (
            ("channel", "channel"),
            ("basis", "basis"),
            ("amount", "amount_from::text"),
            ("score", "score_bin::text"),
            ("operator", "CASE channel WHEN 'api' THEN 'api_key' ELSE 'user' END"),
        )
    ),
    f"""
    INSERT INTO decision_hours (dimension, {KIND}, value, decision, count)
    SELECT 'reason', {KIND}, 'field_' || field, decision, greatest(count / field, 1)
    FROM decision_hours CROSS JOIN generate_series(1, {FIELDS}) AS field
    WHERE dimension = 'channel' AND value = 'api' AND decision = 'refused' ORDER BY hour
    """,
    f"""
    INSERT INTO watched_hours ({KIND}, decisions, found, rows, unusual)
    SELECT {KIND}, sum(count), sum(count), sum(count), sum(count) / 50
    FROM decision_hours WHERE dimension = 'channel' GROUP BY {KIND} ORDER BY hour
    """,
    """
    INSERT INTO training_scores SELECT product, model, score_bin, 10 * score_bin
    FROM (SELECT DISTINCT product, model FROM watched_hours) AS models
    CROSS JOIN generate_series(0, 19) AS score_bin
    """,
    f"""
    INSERT INTO field_stability
    SELECT day, days, product, model, CASE field WHEN 0 THEN '' ELSE 'field_' || field END,
           rows, 0, 0, random() * 0.3, 0.01
    FROM (SELECT (hour AT TIME ZONE 'UTC')::date AS day, product, model, sum(rows) AS rows
          FROM watched_hours GROUP BY 1, 2, 3) AS days_
    CROSS JOIN generate_series(0, {FIELDS}) AS field CROSS JOIN (VALUES (1), (7)) AS spans (days)
    """,
    """
    INSERT INTO score_evidence SELECT day, product, model, rows, random() * 5, 5, '{}'
    FROM field_stability WHERE days = 1 AND field = ''
    """,
    f"""
    INSERT INTO challenger_counts
    SELECT {KIND}, 'challenger', decision,
           CASE WHEN agrees = (decision = 'granted') THEN 'granted' ELSE 'refused' END,
           greatest(sum(count) / CASE WHEN agrees THEN 1 ELSE 20 END, 1)
    FROM decision_hours CROSS JOIN (VALUES (true), (false)) AS both_ (agrees)
    WHERE dimension = 'channel' AND decision <> 'referred' GROUP BY {KIND}, decision, agrees
    ORDER BY hour
    """,
    """
    INSERT INTO outcome_counts
    SELECT month, (month + age * interval '1 month')::date, product, model, 'granted', value::int,
           outcome,
           greatest(count / CASE outcome WHEN 'bad' THEN 40 ELSE 10 END, 1)
    FROM (SELECT date_trunc('month', hour, 'UTC')::date AS month, product, model, value,
                 sum(count) AS count
          FROM decision_hours WHERE dimension = 'score' AND decision = 'granted'
          GROUP BY 1, 2, 3, 4) AS granted
    CROSS JOIN generate_series(1, 12) AS age
    CROSS JOIN (VALUES ('good'), ('bad')) AS both_ (outcome)
    WHERE month + age * interval '1 month' < now()
    """,
    """
    INSERT INTO realised_bands
    SELECT decided_month, product, model, score_bin, sum(count),
           sum(count) FILTER (WHERE outcome = 'good'), sum(count) * (score_bin + 0.5) / 20
    FROM outcome_counts GROUP BY 1, 2, 3, 4
    """,
    """
    INSERT INTO realised_months
    SELECT month, product, model, sum(outcomes), sum(good), sum(expected), 0.15, 0.7
    FROM realised_bands GROUP BY 1, 2, 3
    """,
    """
    INSERT INTO calibration_evidence
    SELECT date_trunc('quarter', month::timestamp)::date, product, model, sum(outcomes), 1,
           now()::date, 1, 1
    FROM realised_months GROUP BY 1, 2, 3
    """,
    """
    INSERT INTO estimated_months SELECT month, product, model, outcomes, 500, true
    FROM realised_months
    """,
    """
    INSERT INTO estimated_figures SELECT month, product, model, figure, 0.2, 0.2, 0.18, 0.22, 0.19
    FROM realised_months CROSS JOIN (VALUES ('bad_share'), ('accuracy')) AS figures (figure)
    """,
    f"""
    INSERT INTO fairness_groups (month, product, model, field, group_name, smallest, decisions,
                                 granted, outcomes, bad)
    SELECT month, product, model, 'protected_' || field, 'group_' || group_, 2, outcomes + 10,
           outcomes + 5, outcomes + 2, 1
    FROM realised_months CROSS JOIN generate_series(1, {ATTRIBUTES}) AS field
    CROSS JOIN generate_series(1, {GROUPS}) AS group_
    """,
    """
    INSERT INTO audit_log (lane, number, created_at, operator_id, event, subject, hash)
    SELECT 1, row_number() OVER () + (SELECT coalesce(max(number), 0) FROM audit_log), min(hour), 1,
           'bundle.activated', 'model:' || model, decode(repeat('00', 32), 'hex')
    FROM watched_hours GROUP BY model
    """,
)
# What the triggers counted, and what was made of it, are the same decisions.
AGREE = """
SELECT (SELECT count(*) FROM decisions) = (SELECT sum(count) FROM decision_counts)
   AND (SELECT count(*) FROM decisions WHERE created_at < %(hour)s) = ALL (
       SELECT sum(count) FROM decision_hours WHERE dimension <> 'reason' GROUP BY dimension)
"""


class CountsDiffer(Exception):
    """The counts are not those of the stored decisions."""


def fill(url: str, decisions: int) -> None:
    """Fill a migrated database; the last decision is a second old."""
    end = datetime.now(UTC)
    first = end - timedelta(days=DAYS)
    step = (end - timedelta(seconds=1) - first) / decisions
    given: dict[str, Any] = {
        "first": first,
        "middle": first + (end - first) / 2,
        "step": step,
        "hour": end.replace(minute=0, second=0, microsecond=0),
        "rows": RARE,
    }
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute("SELECT setseed(%s)", [SEED])
        [(clerk,), (api,)] = connection.execute(OPERATORS).fetchall()
        given |= {"clerk": clerk, "api": api}
        edges = [decisions * i // CHUNKS for i in range(CHUNKS + 1)]
        for low, high in pairwise(edges):
            connection.execute(DECISIONS, {**given, "low": low, "high": high})
        connection.execute(GIVEN_UP, given)
        connection.execute(REVIEWS, given)
        # These counts are changed only by triggers, as a rule.
        for table in ("challenger_counts", "outcome_counts"):
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for statement in DERIVED:
            connection.execute(statement, given)
        if connection.execute(AGREE, given).fetchone() != (True,):
            raise CountsDiffer
        connection.execute("VACUUM ANALYZE")
