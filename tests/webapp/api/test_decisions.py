"""Tests of webapp/api/decisions.py."""

import json
import logging
from datetime import datetime

import pytest
from flask import url_for

from ml.product.samples import examples
from tests.fixtures.databases import PASSWORD, add_user
from webapp.api.intake import ROUTE
from webapp.api.messages import PATH
from webapp.columns import MAX_ID
from webapp.ledger.transaction import unit_of_work
from webapp.people.operators import Operator
from webapp.reviews.closing import NewClosing, close_review
from webapp.reviews.service import claim
from webapp.serving.served import model

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
DEEP = 30_000


@pytest.fixture(scope="session")
def answers():
    """The answer to each hostile body on the first database, to compare with the second."""
    return {}


@pytest.fixture
def hostile(granted):
    """Invalid bodies, each with the status of its answer."""
    whole = json.dumps(granted)

    def put(name, text):
        return (
            json.dumps({**granted, name: "HERE"})
            .replace('"HERE"', text)
            .encode(errors="surrogatepass")
        )

    numbers = {
        "NaN": 422,
        "Infinity": 422,
        "-Infinity": 422,
        "1e999": 422,
        "1e3": 422,
        "7000.0": 422,
        "7000.5": 422,
        "-0": 422,
        "1" * 4000: 422,
        "1" * 5000: 400,
        "9223372036854775808": 422,
        "true": 422,
        "null": 422,
        '"7000"': 422,
        "[]": 422,
        "{}": 422,
        '"\\u0000"': 422,
        f'"{SECRET_WORD}"': 422,
        str(SECRET_NUMBER): 422,
    }
    return {
        **{
            f"loan_amount {t[:20]} {len(t)}": (put("loan_amount", t), s) for t, s in numbers.items()
        },
        "no employment": (put("employment_type", "null"), 422),
        "no housing": (put("home_status", "null"), 422),
        "choice of a NUL": (put("employment_type", '"\\u0000"'), 422),
        "choice of a lone surrogate, escaped": (put("employment_type", '"\\ud800"'), 400),
        "choice of a lone surrogate": (put("employment_type", '"\ud800"'), 400),
        "choice of a number": (put("employment_type", "1"), 422),
        "flag of a boolean": (put("adverse_credit_record", "true"), 422),
        "unknown field": (put(SECRET_WORD[:5], str(SECRET_NUMBER)), 422),
        "field named NUL": (put("\0", "1"), 422),
        "field named by a lone surrogate": ((whole[:-1] + ', "\\ud800": 1}').encode(), 400),
        "field with a long name": (put("x" * 20_000, "1"), 422),
        "protected field": (put("protected_age", "40"), 422),
        "empty object": (b"{}", 422),
        "empty": (b"", 400),
        "blank": (b" \n", 400),
        "cut short": (whole[:-1].encode(), 400),
        "two roots": ((whole + whole).encode(), 400),
        "list": (f"[{whole}]".encode(), 400),
        "text": (b'"loan"', 400),
        "null": (b"null", 400),
        "number": (b"1", 400),
        "deep lists": (b"[" * DEEP + b"]" * DEEP, 400),
        "deep objects": (b'{"a":' * (DEEP // 3) + b"1" + b"}" * (DEEP // 3), 400),
        "deep list in a field": (put("loan_amount", "[" * DEEP + "]" * DEEP), 400),
        "invalid UTF-8": (b'{"loan_amount": "\xff"}', 400),
        "UTF-16": (whole.encode("utf-16"), 400),
        "NUL bytes": (b"\0" * 100, 400),
        "comment": ((whole + "// " + SECRET_WORD).encode(), 400),
        "single quotes": (whole.replace('"', "'").encode(), 400),
    }


def check_problem(answer, status):
    assert answer.status_code == status
    assert answer.content_type == PROBLEM
    assert answer.json["status"] == status
    assert {"type", "title", "status", "detail"} <= set(answer.json)
    assert all(answer.json[k] for k in ("type", "title", "detail"))
    assert answer.headers["Cache-Control"] == "no-store"


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


def test_create_refuses_an_invalid_reference(post, granted, query):
    for reference in ("two\nlines", 7, "x" * 65):
        answer = post(granted | {"reference": reference})
        check_problem(answer, 422)
        [error] = answer.json["errors"]
        assert (error["field"], error["pointer"]) == ("reference", "/reference")
        assert error["detail"].startswith("Enter 1 to 64 letters")
    assert query(COUNT) == [(0,)]


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


def test_create_hostile_body(post, hostile, query, answers):
    statuses = {}
    for name, (body, _) in hostile.items():
        answer = post(data=body, content_type="application/json")
        check_problem(answer, answer.status_code)
        assert answers.setdefault(name, answer.data) == answer.data
        statuses[name] = answer.status_code
    assert statuses == {name: status for name, (_, status) in hostile.items()}
    assert query(COUNT) == [(0,)]


def test_create_refuses_a_field_that_is_sent_twice(post, granted, query):
    text = json.dumps(granted)
    for value in (1, granted["loan_amount"]):
        answer = post(data=f'{{"loan_amount": {value}, {text[1:]}', content_type="application/json")
        check_problem(answer, 422)
        [error] = answer.json["errors"]
        assert (error["field"], error["code"]) == ("loan_amount", "repeated")
    assert query(COUNT) == [(0,)]


def test_create_refuses_a_compressed_body(post, granted, query):
    for coding in ("gzip", "br", "nonsense"):
        answer = post(granted, environ_overrides={"HTTP_CONTENT_ENCODING": coding})
        check_problem(answer, 415)
    assert query(COUNT) == [(0,)]
    plain = post(granted, environ_overrides={"HTTP_CONTENT_ENCODING": "identity"})
    assert plain.status_code == 201


@ON_ONE
def test_create_does_not_repeat_input(post, hostile, caplog):
    with caplog.at_level(logging.DEBUG):
        for body, _ in hostile.values():
            answer = post(data=body, content_type="application/json; v=1")
            for secret in (SECRET_WORD, str(SECRET_NUMBER)):
                assert secret not in answer.text
    for secret in (SECRET_WORD, str(SECRET_NUMBER)):
        assert secret not in caplog.text


@ON_ONE
def test_create_names_every_wrong_field(post, granted, product):
    wrong = dict.fromkeys(granted, SECRET_WORD)
    answer = post({**wrong, "a/b~c": 1})
    check_problem(answer, 422)
    errors = answer.json["errors"]
    assert [e["field"] for e in errors] == [*(f.name for f in product.inputs), "a/b~c"]
    assert all(set(e) == {"field", "code", "detail", "pointer"} for e in errors)
    assert errors[-1]["pointer"] == "/a~1b~0c"
    empty = post(data=b"{}", content_type="application/json").json["errors"]
    assert [e["field"] for e in empty] == [f.name for f in product.inputs if not f.optional]
    assert {e["code"] for e in empty} == {"required"}
    french = {"Accept-Language": "fr"}
    headers = {**french, "Authorization": answer.request.headers["Authorization"]}
    problem = post(data=b"{}", content_type="application/json", headers=headers).json
    assert problem["errors"][0]["detail"] == "Indiquez une valeur."


@ON_ONE
def test_create_too_large(post, granted):
    for body in (
        b"[" * 100_000 + b"]" * 100_000,
        json.dumps(granted).encode() + b" " * 65_536,
        b"\xff" * 65_537,
    ):
        check_problem(post(data=body, content_type="application/json"), 413)
    small = json.dumps(granted).encode()
    body = small + b" " * (65_536 - len(small))
    assert post(data=body, content_type="application/json").status_code == 201


@ON_ONE
def test_create_another_media_type(post, granted):
    body = json.dumps(granted)
    kinds = ("text/plain", "application/x-www-form-urlencoded", "text/json", "", "application/xml")
    for kind in kinds:
        check_problem(post(data=body, content_type=kind), 415)
    check_problem(post(data={"loan_amount": "7000"}), 415)


@ON_ONE
def test_wrong_method(client, api_key):
    headers = {"Authorization": f"Bearer {api_key}"}
    for method, path in (
        ("GET", DECISIONS),
        ("PUT", DECISIONS),
        ("DELETE", f"{DECISIONS}/1"),
        ("PATCH", f"{DECISIONS}/1"),
        ("BREW", DECISIONS),
    ):
        answer = client.open(path, method=method, headers=headers)
        check_problem(answer, 405)
        assert answer.headers["Allow"]


def test_unknown_path(client, api_key):
    headers = {"Authorization": f"Bearer {api_key}"}
    paths = ("0", "1", MAX_ID, MAX_ID + 1, "9" * 400, "-1", "1.5", "x", "", "1/", "%00", "%ff")
    decisions = [f"{DECISIONS}/{p}" for p in paths]
    reasons = [f"{path}/reasons" for path in decisions]
    for path in (*decisions, *reasons, "/api/", "/api/v2/decisions", "/api//"):
        check_problem(client.get(path, headers=headers), 404)


@ON_ONE
def test_model_unavailable(app, config, post, granted, query, tmp_path):
    model.init_app(app, config.model_copy(update={"bundle": tmp_path / "nowhere"}))
    answer = post(granted)
    check_problem(answer, 503)
    assert str(tmp_path) not in answer.text
    assert query(COUNT) == [(0,)]
