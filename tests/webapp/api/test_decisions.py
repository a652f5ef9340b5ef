"""Tests of webapp/api/decisions.py."""

import json
from datetime import datetime

import pytest
from flask import url_for

from ml.product.samples import examples
from tests.fixtures.databases import PASSWORD, add_user
from webapp.api.intake import ROUTE
from webapp.api.messages import PATH
from webapp.ledger.transaction import unit_of_work
from webapp.people.operators import Operator
from webapp.reviews.closing import NewClosing, close_review
from webapp.reviews.service import claim

DECISIONS = "/api/v1/decisions"
PROBLEM = "application/problem+json"
COUNT = "SELECT count(*) FROM decisions"
ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
KEYS = [
    "id",
    "reference",
    "decision",
    "basis",
    "model_decision",
    "probability",
    "threshold",
    "product",
    "model",
    "policy",
    "corrects",
    "out_of_range",
    "causes",
    "reasons",
    "features",
    "channel",
    "operator",
    "created_at",
]
# No answer and no log line may hold these.
SECRET_WORD, SECRET_NUMBER = "zebra-in-pyjamas", 48_151_623


@ON_ONE
def test_the_short_way_in_has_the_address_of_the_route(app):
    with app.test_request_context():
        assert url_for(ROUTE) == PATH


def test_create_returns_every_fact(post, granted, bundle, product):
    answer = post(granted)
    assert answer.status_code == 201
    assert answer.content_type == "application/json"
    body, score = answer.json, bundle.scorer.score(granted)
    assert list(body) == KEYS
    assert answer.headers["Location"] == f"{DECISIONS}/{body['id']}"
    assert body["decision"] == "granted"
    assert body["probability"] == score.probability
    assert body["threshold"] == bundle.threshold
    assert body["product"] == product.name
    assert body["model"] == bundle.version
    assert body["reasons"] is None
    assert body["channel"] == "api"
    assert body["operator"] == "core-banking"
    assert datetime.fromisoformat(body["created_at"]).utcoffset().total_seconds() == 0
    assert body["features"] == [
        {"name": f.name, "value": granted[f.name], "normalised": score.normalised[f.name]}
        for f in product.inputs
    ]


@pytest.mark.parametrize("kind", ["granted", "refused"])
def test_show_equals_the_answer_of_create(post, client, api_key, request, kind):
    made = post(request.getfixturevalue(kind))
    assert made.json["decision"] == kind
    headers = {"Authorization": f"bearer  {api_key}"}
    answer = client.get(made.headers["Location"], headers=headers)
    assert answer.status_code == 200
    assert answer.json == {**made.json, "final_decision": kind}


def test_show_tells_the_final_word_of_a_review(app, post, client, api_key, granted, query):
    made = post({**granted, "monthly_income": None})
    assert (made.json["decision"], made.json["basis"]) == ("referred", "policy")

    def final():
        headers = {"Authorization": f"Bearer {api_key}"}
        return client.get(made.headers["Location"], headers=headers).json["final_decision"]

    assert final() == "referred"
    with app.app_context():
        add_user("anna", PASSWORD, ["reviewer"])
        [(number,)] = query("SELECT id FROM operators WHERE name = 'anna'")
        anna = Operator("user", number, "anna")
        with unit_of_work() as transaction:
            claim(transaction, 1, reviewer=anna)
            new = NewClosing("refused", "documents_missing", "")
            close_review(transaction, 1, new, reviewer=anna)
    assert final() == "refused"


def test_create_without_the_optional(post, granted, product):
    given = {n: v for n, v in granted.items() if not product.by_name[n].optional}
    nothing = {n: granted[n] if n in given else None for n in granted}
    assert post(given).json["features"] == post(nothing).json["features"]


@pytest.mark.parametrize("content_type", ["application/json", "application/json; a=b"])
def test_reference_is_stored_and_returned(post, client, api_key, granted, query, content_type):
    body = json.dumps(granted | {"reference": "2026/000123"})
    made = post(data=body, content_type=content_type)
    assert (made.status_code, made.json["reference"]) == (201, "2026/000123")
    assert "reference" not in [feature["name"] for feature in made.json["features"]]
    headers = {"Authorization": f"Bearer {api_key}"}
    shown = client.get(made.headers["Location"], headers=headers).json
    assert shown["reference"] == "2026/000123"
    assert post(granted).json["reference"] is None
    stored = query("SELECT reference FROM decision_contents ORDER BY decision_id")
    assert stored == [("2026/000123",), (None,)]


def test_form_and_api_store_the_same(post, send, query, product):
    several = examples(product, count=8, seed=7)
    for application in several:
        assert post(application).status_code == 201
        noted = " ".join(w.name for w in product.warnings)
        assert send(application, noted=noted).status_code == 303
    both = [
        query(
            "SELECT probability, threshold, decision, amount, product, model, inputs, normalised "
            "FROM decisions JOIN decision_contents ON decision_id = id "
            f"WHERE channel = '{channel}' ORDER BY id"
        )
        for channel in ("api", "desk")
    ]
    assert len(both[0]) == len(several)
    assert both[0] == both[1]
