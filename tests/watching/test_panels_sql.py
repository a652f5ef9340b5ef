"""Tests of the SQL of all dashboards on an invented history, run by Grafana's role."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from bench.grafana import Shown, expand, sql_of
from tests.fixtures.databases import disconnect
from webapp import create_app

DAYS, DECISIONS = 130, 9_000  # a whole month is older than KNOWN_DAYS
KNOWN_DAYS = 60
UNTIL = datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture
def invented(app, config, database):
    """A database with an invented history."""
    later = create_app(config.model_copy(update={"observation_days": KNOWN_DAYS}))
    arguments = ["demo", "--days", str(DAYS), "--decisions", str(DECISIONS), "--seed", "3"]
    done = later.test_cli_runner().invoke(args=arguments)
    assert done.exit_code == 0, done.output
    disconnect(later)
    return database


@pytest.fixture
def answers(invented, dashboards):
    """Run every query; return the rows by dashboard and title."""

    def run(**chosen):
        shown = Shown(UNTIL - timedelta(days=DAYS + 40), UNTIL, **chosen)
        with psycopg.connect(invented.grafana) as connection:
            return {
                f"{query.dashboard}: {query.title}": connection.execute(
                    expand(query, shown)
                ).fetchall()
                for query in sql_of(dashboards)
            }

    return run


def test_every_query_has_rows_for_all_and_for_one(answers, product, bundle):
    every = answers()
    assert len(every) > 25
    chosen = {
        "products": product.name,
        "models": bundle.version,
        "fields": product.protected[0].name,
    }
    for found in (every, *(answers(**{kind: [one]}) for kind, one in chosen.items())):
        assert [title for title, rows in found.items() if not _says_something(rows)] == []
    none = answers(products=["no such product"])
    shown = {title for title, rows in none.items() if _says_something(rows)}
    # These do not depend on the product, or say 0.
    assert {title.partition(": ")[2] for title in shown} == {
        *("product", "Model put into service", "Last decision", "Granted", "Refused"),
        *("Scores, and those of the training rows", "Open reviews", "Free reviews", "Referred"),
    }


def _says_something(rows):
    return any(value is not None for row in rows for value in row)


def test_panels_of_the_model_tell_the_invented_drift_and_break(answers, invented, product, bundle):
    found = answers()
    known = {title.removeprefix("Model: "): rows for title, rows in found.items()}
    moved = known["How far each field has moved"]
    assert max(row[2] for row in moved) > 0.25
    assert {row[1] for row in moved} - {"score"} == {f.name for f in product.inputs}
    with psycopg.connect(invented.grafana) as connection:
        fields = connection.execute("SELECT DISTINCT field FROM v_field_stability").fetchall()
    assert {name for (name,) in fields} == {"score", *(f.name for f in product.inputs)}
    assert known["Model put into service"][0][1] == bundle.version
    assert max(row[2] for row in known["Evidence that the scores have changed"]) > 5.99
    expected, bad = zip(
        *((row[2], row[1]) for row in known["Calibration by score band"]), strict=True
    )
    assert sum(bad) > sum(expected) > 0
    for column in (1, 2):  # shares
        total = sum(row[column] or 0 for row in known["Scores, and those of the training rows"])
        assert total == pytest.approx(1)
    for title in ("Vintage curves", "Bad loans by months since the decision"):
        shares = [v for row in known[title] for v in row[2:] if v is not None]
        assert 0 < max(shares) < 1
    for row in known["Bad loans by months since the decision"]:
        curve = [share for share in row[2:] if share is not None]
        assert curve == sorted(curve)


def test_panels_of_reviews_tell_what_people_disagree_on(answers, invented):
    """Counted here again from the tables."""
    known = {t.removeprefix("Reviews: "): rows for t, rows in answers().items()}
    with psycopg.connect(invented.owner) as connection:
        counted = connection.execute(
            "SELECT d.model_decision, r.final, count(*) FROM reviews r "
            "JOIN decisions d ON d.id = r.decision_id WHERE final IS NOT NULL GROUP BY 1, 2"
        ).fetchall()
    words = {(said, final): count for said, final, count in counted}
    against = words["granted", "refused"] + words["refused", "granted"]
    [[share]] = known["Against the model"]
    assert share == pytest.approx(against / sum(words.values()))
    assert [row[1:] for row in known["Final words by what the model said"]] == [
        (words["granted", "granted"], words["granted", "refused"]),
        (words["refused", "granted"], words["refused", "refused"]),
    ]
    assert sum(row[2] for row in known["Reasons against the model"]) == against
    loans = {row[0]: row for row in known["Loans that people granted"]}
    assert loans["against the model"][1] == words["refused", "granted"]
    for _, _, outcomes, good, low, high, expected in loans.values():
        assert outcomes
        assert 0 <= low <= good <= high <= 1
        assert 0 < expected < 1
    assert loans["against the model"][6] < loans["as the model says"][6]


def test_groups_are_compared_with_the_largest_one(answers, product):
    """Counted here again from what the view shows."""
    found = answers()
    rows = found["Fairness: Groups, with intervals"]
    fields = {f.name for f in product.protected}
    assert {row[0] for row in rows} <= fields
    for field in {row[0] for row in rows}:
        of_field = [row for row in rows if row[0] == field]
        largest = max(of_field, key=lambda row: row[2])
        assert [row[1] for row in of_field if row[7] == "reference"] == [largest[1]]
        assert largest[4] == pytest.approx(1)
        for row in of_field:
            assert row[5] is None or row[5] <= row[4] <= row[6]
            assert 0 <= row[3] <= 1
