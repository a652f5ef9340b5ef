"""Tests of what the watch makes of the reasons of refusals, and of trials."""

import json
from collections import Counter
from datetime import timedelta

import pytest

from ml.bundle.decide import decide as judge
from webapp.columns import now
from webapp.decisions import service
from webapp.ledger.transaction import unit_of_work
from webapp.monitoring.reporting.reasons import MAX_REASONS
from webapp.serving.served import model


@pytest.fixture
def made(decide_all, applications):
    """The numbers of decisions of today, one for each of 40 applications."""
    return decide_all(applications[:40])


@pytest.fixture
def past(copy, made):
    """Copy decisions to a day in the past."""

    def add(days, some=slice(None), count=1):
        day = now().date() - timedelta(days=days)
        for number in made[some]:
            copy(number, f"{day} 10:30:00.000000", count=count)

    return add


@pytest.fixture
def named(query):
    """Count the refusals that name each field, from the contents of decisions."""

    def count(numbers):
        counts = Counter()
        for (reasons,) in query(
            "SELECT reasons FROM decision_contents JOIN decisions ON id = decision_id "
            f"WHERE decision = 'refused' AND decision_id IN {tuple(numbers)}"
        ):
            if reasons is not None:
                all_ = json.loads(reasons) if isinstance(reasons, str) else reasons
                counts.update(["", *(r["field"] for r in all_ if r["principal"])])
        return counts

    return count


def report(app, *arguments):
    done = app.test_cli_runner().invoke(args=["monitor", "report", "--json", *arguments])
    return json.loads(done.stdout)["reasons"]


def test_contents_that_are_erased_later_stay_counted(past, run, query, app):
    past(1)
    run()
    before = report(app)
    assert before["refusals"] > 5
    [(last,)] = query("SELECT max(id) FROM decisions")
    app.test_cli_runner().invoke(args=["erase", "--decision", str(last)])
    run()
    assert report(app) == before


def test_report_has_the_most_frequent_reasons_of_two_periods(
    past, run, named, made, app, signed_in, product
):
    past(3)
    past(40, some=slice(20))
    run()
    now_, before = named(made), named(made[:20])
    found = report(app, "--days", "30")
    assert (found["refusals"], found["refusals_before"]) == (now_.pop(""), before[""])
    assert len(found["reasons"]) == min(MAX_REASONS, len(now_))
    shown = {one["name"]: (one["refusals"], one["refusals_before"]) for one in found["reasons"]}
    assert shown == {name: (now_[name], before[name]) for name in shown}
    assert sorted(now_.values(), reverse=True)[:MAX_REASONS] == [n for n, _ in shown.values()]
    text = app.test_cli_runner().invoke(args=["monitor", "report"]).stdout
    assert f"of {found['refusals']} refusals, and {found['refusals_before']} in as many" in text
    page = signed_in.get("/monitoring").text
    assert "Principal reasons of refusals" in page
    first = found["reasons"][0]
    assert f"{first['refusals'] / found['refusals']:.1%}" in page
    french = signed_in.get("/monitoring", headers={"Accept-Language": "fr"}).text
    assert "Motifs principaux des refus" in french
    assert report(app, "--days", "60")["refusals_before"] == 0


def test_trials_are_counted_with_the_share_that_would_be_granted(
    app, made, operator, granted, refused, signed_in
):
    assert report(app)["trials"] == 0
    with app.app_context(), unit_of_work() as transaction:
        for application in (granted, refused, refused):
            verdict = judge(model.bundle, application)
            service.add_trial(transaction, made[0], application, verdict, operator=operator)
    found = report(app)
    assert (found["trials"], found["trials_granted"], found["trials_before"]) == (3, 1, 0)
    assert (
        "Trials in 30 days: 3, of which 33.3% would be granted."
        in signed_in.get("/monitoring").text
    )
    text = app.test_cli_runner().invoke(args=["monitor", "report"]).stdout
    assert "3 trials, 33.3% would be granted; before: 0, –" in text


def test_report_without_refusals_has_no_such_part(app, signed_in):
    assert report(app)["reasons"] == []
    assert "Principal reasons" not in signed_in.get("/monitoring").text
    assert (
        "principal reasons" not in app.test_cli_runner().invoke(args=["monitor", "report"]).stdout
    )
