"""Tests of requests to the API that are refused, and of what their errors say."""

import json
import logging

import pytest

from webapp.columns import MAX_ID
from webapp.serving.served import model

DECISIONS = "/api/v1/decisions"
PROBLEM = "application/problem+json"
COUNT = "SELECT count(*) FROM decisions"
ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
DEEP = 30_000
# No answer and no log line may hold these.
SECRET_WORD, SECRET_NUMBER = "zebra-in-pyjamas", 48_151_623


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


def test_create_refuses_an_invalid_reference(post, granted, query):
    for reference in ("two\nlines", 7, "x" * 65):
        answer = post(granted | {"reference": reference})
        check_problem(answer, 422)
        [error] = answer.json["errors"]
        assert (error["field"], error["pointer"]) == ("reference", "/reference")
        assert error["detail"].startswith("Enter 1 to 64 letters")
    assert query(COUNT) == [(0,)]


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
