"""Tests of what the watch makes of protected attributes: figures of large groups, and no others."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from webapp.columns import now
from webapp.ledger.transaction import unit_of_work
from webapp.monitoring.fairness import (
    Sizes,
    count_month,
    kept_groups,
    replaced,
    uncounted_months,
)
from webapp.monitoring.watch import watch
from webapp.protected.service import ANSWER_WITHIN, NewAnswer, give_answer

MINIMUM = 30  # of the product
MANY = {"total": 500, "outcomes": 500, "smallest": MINIMUM}  # people beside the groups
STATUS = "protected_marital_status"
GROUPS = (
    "SELECT field, group_name, decisions, granted, outcomes, bad FROM fairness_groups "
    "ORDER BY month, field, group_name"
)


def months_ago(count):
    """Return the first day of an earlier month."""
    this = now().date()
    years, month = divmod(this.year * 12 + this.month - 1 - count, 12)
    return date(years, month + 1, 1)


MONTH, LATER = months_ago(3), months_ago(2)


@pytest.fixture
def made(decide_all, granted, refused):
    """The numbers of a granted and of a refused decision."""
    return decide_all([granted, refused])


@pytest.fixture
def people(made, copy, query):
    """Make decisions of a month, granted and refused ones, of people who said what they are."""

    def add(value, *, granted=0, refused=0, month=MONTH, field=STATUS):
        [(last,)] = query("SELECT max(id) FROM decisions")
        for number, count in zip(made, (granted, refused), strict=True):
            if count:
                copy(number, f"{month:%Y-%m}-15 12:00:00.000000", count=count)
        added = [n for (n,) in query(f"SELECT id FROM decisions WHERE id > {last} ORDER BY id")]
        if value is not None:
            rows = ", ".join(f"({n}, '{field}', '{value}')" for n in added)
            query(f"INSERT INTO protected_attributes (decision_id, field, value) VALUES {rows}")
        return added

    return add


@pytest.fixture
def run(ripe_after):
    def once(ripe=MONTH):
        with ripe_after(ripe) as app, app.app_context():
            return watch()

    return once


def outcomes(numbers, *, good, known=None):
    return [(n, good, known or LATER) for n in numbers]


def test_groups_of_a_month_are_counted(people, record, run, query):
    single = people("single", granted=60, refused=40)
    people("married", granted=30, refused=5)
    people("widowed", granted=10, refused=5)
    people("neither", granted=50)  # the product has no such answer
    people("40", granted=35, field="protected_age")
    people(None, granted=20, refused=80)
    record(*outcomes(single[:31], good=True), *outcomes(single[31:40], good=False))
    run()
    expected = [
        ("protected_age", "35_to_44", 35, 35, None, None),
        (STATUS, "married", 35, 30, None, None),
        (STATUS, "single", 100, 60, None, None),
    ]
    assert query(GROUPS) == expected
    run(ripe=LATER)  # the loans of the month are old enough
    expected[-1] = (STATUS, "single", 100, 60, 40, 9)
    assert query(GROUPS) == expected
    before = query("SELECT * FROM fairness_months"), query("SELECT * FROM fairness_groups")
    run(ripe=LATER)
    assert before == (
        query("SELECT * FROM fairness_months"),
        query("SELECT * FROM fairness_groups"),
    )


def test_month_that_has_not_ended_is_not_counted(people, run, query):
    people("single", granted=60, month=months_ago(0))
    run()
    assert query("SELECT * FROM fairness_months") == query(GROUPS) == []


def test_month_is_counted_when_no_answer_can_come_any_more(app, copy, made, query, operator):
    """A decision of the last second of a month is answered a day later."""
    following = months_ago(2)
    last = datetime(following.year, following.month, 1, tzinfo=UTC) - timedelta(seconds=1)
    [(number,)] = query("SELECT max(id) FROM decisions")
    copy(made[0], f"{last:%Y-%m-%d %H:%M:%S}.000000", count=40)
    with app.app_context():
        watch()  # counts the hours, and the month as if it were long ago
        query("DELETE FROM fairness_months")
        answer_ends = last + ANSWER_WITHIN
        before = answer_ends.replace(minute=0, second=0)
        assert uncounted_months(before=before, ripe=MONTH) == []
        for ago in range(40):
            with unit_of_work() as transaction:
                answer = NewAnswer(number + 1 + ago, operator.id, {STATUS: "single"})
                give_answer(transaction, answer)
        [changed] = uncounted_months(before=answer_ends + timedelta(hours=2), ripe=MONTH)
        assert (changed.month, changed.decisions) == (MONTH, 40)
        counted = count_month(changed)
    assert [group["decisions"] for group in counted.groups] == [40]


def test_small_group_cannot_be_computed_by_subtraction(people, run, query):
    """All but one person of a month said what they are."""
    people("single", granted=60)
    people("married", granted=40)
    people("widowed", refused=8)
    people(None, refused=1)
    run()
    assert query(GROUPS) == [
        (STATUS, "single", 60, 60, None, None),
    ]


def test_database_refuses_a_small_group(app, query):
    for sizes in ("29, 29, NULL, NULL", "30, 31, NULL, NULL", "60, 60, 29, 1", "60, 40, 41, 1"):
        with pytest.raises(Exception, match="ck_fairness_groups"):
            query(
                "INSERT INTO fairness_groups (month, product, model, field, group_name, smallest, "
                "decisions, granted, outcomes, bad) "
                f"VALUES ('2026-01-01', 'p', 'm', 'f', 'g', 30, {sizes})"
            )


def test_one_late_outcome_and_one_erasure_change_nothing(people, record, run, query, app):
    single, silent = people("single", granted=90), people(None, granted=50)
    record(*outcomes([*single[:40], *silent[:35]], good=True))
    run(ripe=LATER)
    before = query(GROUPS)
    assert before == [(STATUS, "single", 90, 90, 40, 0)]
    record(*outcomes(single[40:41], good=False))
    app.test_cli_runner().invoke(args=["erase", "--decision", str(single[0])])
    [(left,)] = query("SELECT count(*) FROM protected_attributes")
    assert left == 89
    run(ripe=LATER)
    assert query(GROUPS) == before
    record(*outcomes(single[41:71], good=False))  # now many are known at once
    run(ripe=LATER)
    assert query(GROUPS) == [(STATUS, "single", 90, 90, 70, 31)]


def test_outcomes_that_become_known_later_are_counted_when_they_are_many(
    people, record, run, query
):
    single = people("single", granted=40)
    people(None, granted=40)
    record(*outcomes(single[:29], good=True))
    run(ripe=LATER)
    assert query(GROUPS) == [(STATUS, "single", 40, 40, None, None)]
    record(*outcomes(single[29:30], good=False))
    run(ripe=LATER)
    assert query(GROUPS) == [(STATUS, "single", 40, 40, 30, 1)]


def test_small_groups_are_not_kept_and_nobody_is_counted_twice():
    """Two people of b are erased, and b is then too small for a first count: its figures stay."""
    limits = {"total": 300, "outcomes": 0, "smallest": MINIMUM}
    found = {"a": Sizes(60, 50), "b": Sizes(31, 25), "c": Sizes(10, 5)}
    kept = kept_groups(found, **limits)
    assert kept == {"a": found["a"], "b": found["b"]}
    found["b"] = Sizes(29, 23)
    again = kept_groups(found, **limits)
    assert again == {"a": found["a"]}
    assert replaced(kept, again, found=found, **limits) == kept


def test_old_and_new_figures_together_leave_nobody_alone():
    """Everyone has answered, five of group a late: 96 - 60 - 31 would be those five."""
    limits = {"total": 96, "outcomes": 0, "smallest": MINIMUM}
    before = {"a": Sizes(60, 50)}
    found = {"a": Sizes(65, 54), "b": Sizes(31, 25)}
    kept = kept_groups(found, **limits)
    assert kept == found
    assert replaced(before, kept, found=found, **limits) == before


def test_outcomes_of_a_small_group_cannot_be_computed_by_subtraction():
    """The number of all known outcomes is on the dashboards."""
    found = {"a": Sizes(100, 90, 60, 3), "b": Sizes(50, 40, 33, 2), "c": Sizes(40, 30, 20, 20)}
    kept = kept_groups(found, total=300, outcomes=113, smallest=MINIMUM)
    assert kept == {"a": found["a"], "b": Sizes(50, 40), "c": Sizes(40, 30)}
    kept = kept_groups(found, total=300, outcomes=143, smallest=MINIMUM)
    assert kept == {"a": found["a"], "b": found["b"], "c": Sizes(40, 30)}


@pytest.mark.parametrize(
    ("before", "now_", "after"),
    [
        ({}, {"a": Sizes(30, 20)}, {"a": Sizes(30, 20)}),
        ({"a": Sizes(60, 50)}, {"a": Sizes(31, 25)}, {"a": Sizes(60, 50)}),
        ({"a": Sizes(60, 50)}, {"a": Sizes(30, 25)}, {"a": Sizes(30, 25)}),
        ({"a": Sizes(60, 50)}, {}, {}),
        ({"a": Sizes(35, 30)}, {"a": Sizes(64, 50, 40, 4)}, {"a": Sizes(35, 30)}),  # not 40 of 30
        ({"a": Sizes(90, 80, 70, 7)}, {"a": Sizes(60, 50, 41, 4)}, {"a": Sizes(60, 50)}),
    ],
)
def test_figures_are_replaced_only_by_those_of_many_more_or_fewer(before, now_, after):
    assert replaced(before, now_, found=now_, **MANY) == after


def test_figures_stay_if_a_first_count_would_not_keep_them():
    """One outcome is known of someone who did not say: a first count would tell it."""
    group = {"a": Sizes(90, 90, 40, 0)}
    now_ = {"a": Sizes(90, 90, 41, 1)}
    kept = kept_groups(now_, total=140, outcomes=42, smallest=MINIMUM)
    assert kept == {"a": Sizes(90, 90)}
    assert replaced(group, kept, found=now_, **MANY) == group


def report(app):
    done = app.test_cli_runner().invoke(args=["monitor", "report", "--json"])
    return json.loads(done.stdout)


def test_groups_are_compared_with_the_largest(people, record, run, app, signed_in, client):
    people("single", granted=90, refused=10)
    people("single", granted=10, refused=90, month=LATER)  # not compared with the other month
    widowed = people("widowed", granted=40, refused=20)
    people("married", granted=40, refused=0)
    people(None, granted=100)
    people(None, granted=300, month=LATER)
    record(*outcomes(widowed[:30], good=False))
    run(ripe=LATER)
    body = report(app)
    [field] = body["fairness"]["fields"]
    assert (body["fairness"]["decisions"], field["shown"]) == (700, 300)
    groups = {g["name"]: g for g in field["groups"]}
    assert groups["single"]["verdict"] == "reference"
    assert groups["widowed"]["ratio"]["value"] == pytest.approx((40 / 60) / 0.9)
    assert (groups["widowed"]["outcomes"], groups["widowed"]["bad"]) == (30, 30)
    assert groups["widowed"]["verdict"] == "outside"
    assert groups["married"]["verdict"] == "within"
    assert groups["divorced"]["verdict"] == "not_assessable"
    assert groups["divorced"]["decisions"] == 0
    assert "unequal" not in [f["kind"] for f in body["findings"]]  # the interval includes 0.8
    page = signed_in.get("/monitoring").text
    assert "42.9% of the applications are in these groups" in page
    assert "outside the limits" in page
    french = signed_in.get("/monitoring", headers={"Accept-Language": "fr"}).text
    assert "des demandes sont dans ces groupes" in french
    text = app.test_cli_runner().invoke(args=["monitor", "report"]).stdout
    assert "Divorced                   not assessable" in text


@pytest.mark.parametrize("few", [0, 20])
def test_certain_difference_is_a_finding(people, run, app, client, few):
    people("single", granted=90, refused=10)
    people("widowed", granted=few, refused=60 - few)
    people(None, granted=100)
    run()
    body = report(app)
    [found] = [f for f in body["findings"] if f["kind"] == "unequal"]
    assert (found["step"], "(Marital status: Widowed)" in found["text"]) == ("look", True)
    lines = client.get("/metrics").text.splitlines()
    [high] = [x for x in lines if x.startswith("loan_grant_rate_ratio_high{")]
    assert f'field="{STATUS}",group="widowed"' in high
    assert float(high.rpartition(" ")[2]) < 0.8
    assert sum(x.startswith("loan_grant_rate_ratio{") for x in lines) == 1


def test_page_and_report_without_attributes(app, signed_in):
    assert report(app)["fairness"]["fields"] == []
    assert "No protected group of at least 30 people is known" in signed_in.get("/monitoring").text
