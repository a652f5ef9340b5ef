"""Tests of webapp/monitoring/health.py."""

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from ml.monitoring.bins import SCORE_BINS
from webapp.config import VERSION
from webapp.extensions import db
from webapp.metrics import CONTENT_TYPE
from webapp.monitoring import health
from webapp.serving.served import model

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
READY = {"database": True, "bundle": True, "secret": True}


@pytest.fixture
def without_bundle(app, config, tmp_path):
    """Configure a bundle that does not exist."""
    model.init_app(app, config.model_copy(update={"bundle": tmp_path / "nowhere"}))


def test_readyz_on_both_databases(client):
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json == READY


@ON_ONE
def test_readyz_without_bundle(without_bundle, client):
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json == READY | {"bundle": False}
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("table", ["decision_counts", "api_keys", "trial_contents"])
def test_readyz_without_a_table(client, query, table):
    assert client.get("/readyz").status_code == 200
    query(f"ALTER TABLE {table} RENAME TO other")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json == READY | {"database": False}


def test_readyz_without_a_column(client, query):
    query("ALTER TABLE api_keys RENAME COLUMN revoked_at TO other")
    assert client.get("/readyz").json == READY | {"database": False}


@ON_ONE
@pytest.mark.parametrize("left", [0, 4096], ids=["nothing", "the first page"])
def test_readyz_notices_a_damaged_file(client, config, query, left):
    """The damage is noticed although the connection has cached the file's pages."""
    assert client.get("/readyz").json == READY
    query("PRAGMA wal_checkpoint(TRUNCATE)")
    file = config.instance / "loan_desk.db"
    size = file.stat().st_size
    with file.open("r+b") as opened:
        opened.seek(left)
        opened.write(b"\xa5" * (size - left))
    assert client.get("/readyz").json == READY | {"database": False}
    assert client.get("/healthz").status_code == 200


@ON_ONE
def test_readyz_notices_a_file_that_was_moved(client, config):
    assert client.get("/readyz").json == READY
    file = config.instance / "loan_desk.db"
    file.rename(config.instance / "away.db")
    assert client.get("/readyz").json == READY | {"database": False}
    assert not file.exists()
    (config.instance / "away.db").rename(file)
    assert client.get("/readyz").json == READY


@ON_ONE
@pytest.mark.parametrize("content", ["", "x" * 64, None])
def test_readyz_notices_a_changed_secret(client, config, content):
    assert client.get("/readyz").json == READY
    file = config.instance / "secret_key"
    file.unlink() if content is None else file.write_text(content)
    assert client.get("/readyz").json == READY | {"secret": False}
    assert file.exists() == (content is not None)


@ON_ONE
def test_readyz_with_a_secret_in_the_settings(app, another_app, config):
    with another_app(secret_key="s" * 64) as desk:
        (config.instance / "secret_key").unlink()
        assert desk.test_client().get("/readyz").json == READY


@ON_ONE
def test_healthz_sends_no_query(app, client):
    statements = []
    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
        answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json == {"status": "up"}
    assert statements == []


@ON_ONE
def test_metrics_page_in_one_process(post, client, granted, bundle):
    post(granted)
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type == CONTENT_TYPE
    kind = f'product="{bundle.product.name}",decision="granted"'.split(",")
    [line] = [x for x in answer.text.splitlines() if x.startswith("loan_decisions_total")]
    assert all(part in line for part in kind)
    assert line.endswith(" 1.0")
    assert f'loan_build_info{{version="{VERSION}"}} 1.0' in answer.text
    assert f'model="{bundle.version}"' in answer.text
    assert "loan_database_up 1.0" in answer.text
    assert "loan_bundle_reloads_refused_total 0.0" in answer.text


@ON_ONE
def test_metrics_page_without_bundle(without_bundle, client):
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert "loan_model_info" not in answer.text
    assert "loan_build_info" in answer.text


def test_check_database_without_tables(app, query_at, config):
    with app.app_context():
        health.check_database()
        db.session.rollback()
        query_at(
            config.database_url or config.instance, "ALTER TABLE decision_counts RENAME TO other"
        )
        with pytest.raises(DBAPIError):
            health.check_database()


def test_metrics_page_counts_probabilities(client, decide_all, applications, query, bundle):
    decide_all(applications)
    text = client.get("/metrics").text
    [family] = [
        f for f in text_string_to_metric_families(text) if f.name == "loan_decision_probability"
    ]
    labels = {"product": bundle.product.name, "model": bundle.version}
    samples = [s for s in family.samples if labels.items() <= s.labels.items()]
    buckets = {s.labels["le"]: s.value for s in samples}
    probabilities = [p for (p,) in query("SELECT probability FROM decisions")]
    limits = [i / SCORE_BINS for i in range(1, SCORE_BINS)]
    expected = {str(limit): sum(p <= limit for p in probabilities) for limit in limits}
    assert buckets == {**expected, "+Inf": len(applications)}
    assert len(set(buckets.values())) > 5
