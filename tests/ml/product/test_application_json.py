"""Tests of what an application in JSON may be: names sent twice, literals, malformed bodies."""

import json

import pytest

from ml.product.errors import InvalidApplication, MalformedApplication
from tests.ml.product.conftest import VALID, codes


def body_with(field, literal):
    """Return a JSON application with the given literal as the value of one field."""
    return json.dumps(VALID | {field: "@"}).replace('"@"', literal).encode()


def test_check_json_names_every_field_that_is_sent_twice(rules):
    text = json.dumps(VALID)
    twice = f'{text[:-1]}, "assets": 1, "years_in_job": 4}}'.encode()
    assert codes(rules.check_json, twice) == [("years_in_job", "repeated"), ("assets", "repeated")]


@pytest.mark.parametrize(
    "more",
    [
        '"assets": 1',
        '"\\u0061ssets" : 1',
        '"assets": ":"',
        '"assets": {"loan_amount": {":": "::"}}',
        f'"assets": {"[" * 100}{"]" * 100}',
    ],
)
def test_check_json_finds_a_name_sent_twice_however_it_is_written(rules, more):
    text = json.dumps(VALID)
    for twice in (f"{{{more}, {text[1:]}", f"{text[:-1]}, {more}, {text[1:]}"):
        found = codes(rules.check_json, twice.encode())
        assert ("assets", "repeated") in found
        assert {code for _, code in found} == {"repeated"}


def test_check_json_of_escaped_names(rules):
    escaped = json.dumps(VALID).replace("assets", "\\u0061sset\\u0073")
    assert rules.check_json(escaped.encode()) == rules.check(VALID)


@pytest.mark.parametrize("reference", ["7", "2026/000123-A", "dossier #12 b", "x" * 64, None])
def test_submission_can_have_a_reference(rules, reference):
    body = json.dumps(VALID | {"reference": reference}).encode()
    assert rules.check_submission(body) == (rules.check(VALID), reference)
    assert rules.check_submission(json.dumps(VALID).encode()) == (rules.check(VALID), None)
    assert codes(rules.check_json, body) == [("reference", "unknown")]
    assert codes(rules.check, VALID | {"reference": reference}) == [("reference", "unknown")]


@pytest.mark.parametrize(
    "reference",
    [
        "",
        " ",
        "a ",
        " a",
        "-1",
        "a:b",
        'a"b',
        "a\\b",
        "a\nb",
        "a\n",
        "é",
        "x" * 65,
        7,
        True,
        ["a"],
        {},
    ],
)
def test_invalid_references_are_refused(rules, reference):
    body = json.dumps(VALID | {"reference": reference, "assets": -1}).encode()
    with pytest.raises(InvalidApplication) as refused:
        rules.check_submission(body)
    assets, wrong = refused.value.errors
    assert (assets.field, wrong.field, wrong.code) == ("assets", "reference", "reference")
    assert wrong.message.en.startswith("Enter 1 to 64 letters")
    assert wrong.message.fr.startswith("Indiquez de 1 à 64 lettres")


def test_reference_that_is_sent_twice_is_refused(rules):
    text = json.dumps(VALID | {"reference": "a"})
    for twice in (f'{text[:-1]}, "reference": "a"}}', f'{{"reference": null, {text[1:]}'):
        assert codes(rules.check_submission, twice.encode()) == [("reference", "repeated")]


@pytest.mark.parametrize(
    ("literal", "code"),
    [
        ("NaN", "integer"),
        ("Infinity", "integer"),
        ("-Infinity", "integer"),
        ("1e999", "integer"),
        ("12.0", "integer"),
        ("12.5", "integer"),
        ("1e1", "integer"),
        ("true", "integer"),
        ('"12"', "integer"),
        ('""', "integer"),
        ("[]", "integer"),
        ('{"a": 1}', "integer"),
        ("null", "required"),
        ("9" * 100, "range"),
        ("-" + "9" * 100, "range"),
    ],
)
def test_check_json_integer_refuses_what_is_none(rules, literal, code):
    assert codes(rules.check_json, body_with("years_in_job", literal)) == [("years_in_job", code)]


@pytest.mark.parametrize("literal", ["true", '"1"', "1.0", "2", "-1", '"yes"', "[1]"])
def test_check_json_flag_refuses_what_is_none(rules, literal):
    body = body_with("adverse_credit_record", literal)
    assert codes(rules.check_json, body) == [("adverse_credit_record", "flag")]


@pytest.mark.parametrize("literal", ["1", "true", '"Owner"', '"owner "', '""', '["owner"]'])
def test_check_json_choice_refuses_what_is_none(rules, literal):
    assert codes(rules.check_json, body_with("home_status", literal)) == [("home_status", "choice")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"1",
        b"[]",
        b'"text"',
        b"[" + json.dumps(VALID).encode() + b"]",
        b"{",
        b"{'loan_amount': 1}",
        b"\xff\xfe",
        json.dumps(VALID).encode("utf-16"),
        body_with("home_status", '"\\ud800"'),
        body_with("home_status", '"@"').replace(b"@", b"\xff"),
        body_with("home_status", '"@"').replace(b"@", b"\xed\xa0\x80"),
        body_with("years_in_job", "9" * 5000),
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=range(17),
)
def test_check_json_malformed_body(rules, body):
    with pytest.raises(MalformedApplication, match="not a JSON object"):
        rules.check_json(body)
