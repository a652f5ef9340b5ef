"""Tests of the report of the watch: as text, as JSON, as a page and as metrics."""

import json
from datetime import UTC, datetime, time, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ml.training.dataset import as_applications
from webapp.columns import now
from webapp.monitoring.reporting.report import report

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_report(past, run, command, product):
    code, text = command("report")
    assert code == 0
    assert "last day compared: none yet" in text
    past([3, 2, 1], times=5)
    run()
    code, text = command("report")
    assert code == 1
    assert "Look at the data. " in text  # the samples are unlike the training data
    assert all(f.name in text for f in product.inputs)
    code, text = command("report", "--json", "--days", "7")
    body = json.loads(text)
    assert code == 1
    assert body["product"] == product.name
    assert body["verdict"] == "look"
    assert {f["step"] for f in body["findings"]} == {"look"}
    assert [f["name"] for f in body["drift"]["fields"]] == [f.name for f in product.inputs]
    assert body["drift"]["last"] == (now().date() - timedelta(days=1)).isoformat()
    assert body["decisions"] == 640
    assert 0 <= body["drift"]["fields"][0]["unusual"] <= 1


def test_metrics_show_the_last_day(past, run, client, query):
    assert "loan_field_stability{" not in client.get("/metrics").text
    past([2, 1])
    run()
    metrics = {
        (sample.name, sample.labels.get("field"), sample.labels.get("days")): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    }
    stored = query(
        "SELECT field, days, stability, bound FROM field_stability "
        "WHERE day = (SELECT max(day) FROM field_stability)"
    )
    assert len(stored) == 24
    for field, days, index, bound in stored:
        labels = (field or "score", str(days))
        assert metrics["loan_field_stability", *labels] == pytest.approx(index)
        assert metrics["loan_field_stability_bound", *labels] == pytest.approx(bound)
    [(highest,)] = query("SELECT highest FROM score_evidence ORDER BY day DESC LIMIT 1")
    assert metrics["loan_score_evidence", None, None] == pytest.approx(highest)
    today = datetime.combine(now().date(), time(), UTC)
    assert metrics["loan_watched_until_seconds", None, None] == today.timestamp()


def test_page(past, run, signed_in, read_page, product):
    empty = signed_in.get("/monitoring")
    assert empty.status_code == 200
    assert "No day has been compared yet." in empty.text
    past([2, 1], times=5)
    run()
    text = signed_in.get("/monitoring").text
    page = " ".join("".join(read_page(text).itertext()).split())
    assert "Look at the data" in page
    assert all(f.label.en in page for f in product.inputs)
    french = signed_in.get("/monitoring", headers={"Accept-Language": "fr"}).text
    assert "Examiner les données" in french


@ON_ONE
def test_nothing_to_do_where_applications_are_like_the_training_rows(
    decide_all, origin, copy, run, command, signed_in
):
    rows = as_applications(origin.rows.fields.sample(60, random_state=1))
    for number in decide_all(rows):
        copy(number, f"{now().date() - timedelta(days=1)} 10:00:00.000000")
    run()
    code, text = command("report")
    assert (code, text.splitlines()[-1].startswith("Nothing to do. ")) == (0, True)
    assert "Nothing to do" in signed_in.get("/monitoring").text


def test_volume_has_the_decisions_of_each_hour(past, run, app, command, signed_in):
    past([2], hour=9, some=slice(3))
    past([1], hour=14, some=slice(7))
    with app.app_context():
        found = report(days=7).volume
    assert len(found.hours) == 168
    busiest = datetime.combine(now().date() - timedelta(days=1), time(14), UTC)
    made = found.hours[-1]  # at this hour
    assert made == 40
    assert found.hours[int((busiest - found.first) / timedelta(hours=1))] == 7
    assert sum(found.hours) == 50
    assert [day.hour for day in found.days] == [0] * 7
    _, text = command("report")
    assert "busiest hour of the last seven days" in text
    assert "no review has been closed with a final word" in text
    assert signed_in.get("/monitoring").text.count("<rect") == 3
