"""Tests of ml/product/application.py."""

import csv
import json

import pytest

from ml.product.application import Rules
from ml.product.definition import Choice
from ml.product.errors import MESSAGES, InvalidApplication
from ml.product.files import PRODUCTS, read_product
from ml.product.samples import examples
from ml.product.texts import LANGUAGES, Text
from tests.ml.product.conftest import VALID, codes

SHIPPED = sorted(path.stem for path in PRODUCTS.glob("*.toml"))


def typed(values):
    return {name: "" if value is None else str(value) for name, value in values.items()}


def outcome(check, values):
    """Return the application that a check accepts, or the errors of its fields."""
    try:
        return check(values)
    except InvalidApplication as error:
        return [(e.field, e.code, e.message) for e in error.errors]


def test_check_valid_keeps_the_products_order(rules, product):
    shuffled = dict(reversed(VALID.items()))
    found = rules.check(shuffled)
    assert found == VALID
    assert list(found) == [field.name for field in product.inputs]


def test_check_optional_field_may_be_left_out(rules):
    values = {name: value for name, value in VALID.items() if name != "monthly_income"}
    assert rules.check(values) == VALID
    assert rules.check_text(typed(values)) == VALID
    assert rules.check_json(json.dumps(values).encode()) == VALID


WRONG = {
    "required": {"loan_term_months": None},
    "integer": {"years_in_job": "four"},
    "range": {"loan_term_months": 5},
    "at_most": {"loan_amount": 8001},
    "choice": {"home_status": "castle"},
    "flag": {"adverse_credit_record": 2},
    "unknown": {"shoe_size": 43},
}


def test_messages_every_code_has_a_case():
    assert set(WRONG) == set(MESSAGES) - {"repeated", "reference"}  # only in JSON


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", WRONG)
def test_message_of_every_code_in_both_languages(rules, code, language):
    values = VALID | WRONG[code]
    for check, given in [
        (rules.check, values),
        (rules.check_json, json.dumps(values).encode()),
        (rules.check_text, typed(values)),
    ]:
        with pytest.raises(InvalidApplication) as raised:
            check(given)
        [error] = raised.value.errors
        words = error.message.in_language(language)
        assert (error.field, error.code) == (next(iter(WRONG[code])), code)
        assert words.endswith(".")
        assert "{" not in words
        assert not any(str(value) in words for value in WRONG[code].values())


def test_message_of_a_range_sets_thousands_apart(rules):
    with pytest.raises(InvalidApplication) as raised:
        rules.check(VALID | {"assets": 2_000_001})
    [error] = raised.value.errors
    assert error.message.en == "Enter a whole number from 0 to 2,000,000."
    assert error.message.fr == "Indiquez un nombre entier de 0 à 2\u202f000\u202f000."


def test_message_of_a_limit_names_the_other_field(rules):
    with pytest.raises(InvalidApplication) as raised:
        rules.check(VALID | {"loan_amount": 9000})
    [error] = raised.value.errors
    assert "Purchase price" in error.message.en
    assert "Prix d’achat" in error.message.fr


def test_message_of_a_choice_names_each_label_with_the_value_to_be_sent(product):
    same = Choice(value="owner", label=Text(en="owner", fr="Propriétaire"))
    field = product.by_name["home_status"]
    field = field.model_copy(update={"choices": (same, field.choices[2])})
    with pytest.raises(InvalidApplication) as raised:
        Rules(product, fields=[field]).check({"home_status": "castle"})
    assert raised.value.errors[0].message == Text(
        en="Choose one of: owner, With parents (with_parents).",
        fr="Choisissez parmi : Propriétaire (owner), Chez ses parents (with_parents).",
    )


def test_check_reports_every_wrong_field_in_the_products_order(rules):
    values = VALID | {"zeta": 1, "home_status": "castle", "loan_amount": "much", "alpha": 1}
    assert codes(rules.check, values) == [
        ("loan_amount", "integer"),
        ("home_status", "choice"),
        ("alpha", "unknown"),
        ("zeta", "unknown"),
    ]


def test_check_limit_is_not_judged_against_an_invalid_field(rules):
    assert codes(rules.check, VALID | {"purchase_price": 0}) == [("purchase_price", "range")]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        *WRONG.values(),
        {"loan_amount": 500, "purchase_price": 500},
        {"loan_amount": 499},
        {"loan_amount": 50_001, "purchase_price": 60_000},
        {"years_in_job": -1},
        {"years_in_job": 51},
        {"adverse_credit_record": None},
        {"employment_type": None, "home_status": None, "assets": None},
        {"monthly_income": 0},
        {"protected_age": 40},
    ],
)
def test_check_json_and_text_agree(rules, changes):
    values = VALID | changes
    as_json = outcome(rules.check_json, json.dumps(values).encode())
    assert as_json == outcome(rules.check_text, typed(values))
    assert as_json == outcome(rules.check, values)


@pytest.mark.parametrize("name", SHIPPED)
def test_check_json_and_text_agree_on_random_applications(name):
    product = read_product(name)
    rules = Rules(product)
    for values in examples(product, count=300, seed=1, unseen=True):
        as_json = outcome(rules.check_json, json.dumps(values).encode())
        assert as_json == outcome(rules.check_text, typed(values))
        unseen = [f.name for f in product.inputs if values[f.name] == "never_seen"]
        if unseen:
            assert [(e[0], e[1]) for e in as_json] == [(field, "choice") for field in unseen]
        else:
            assert as_json == values


@pytest.mark.parametrize("name", ["protected_age", "protected_marital_status", "eligible"])
def test_check_protected_field_and_target_are_unknown(rules, name):
    assert codes(rules.check, VALID | {name: 1}) == [(name, "unknown")]
    assert codes(rules.check_text, typed(VALID) | {name: ""}) == [(name, "unknown")]


def test_check_unknown_field_is_told_short_and_printable(rules):
    hostile = "<b>\n\x00" + "x" * 1000
    [(shown, code)] = codes(rules.check_json, json.dumps(VALID | {hostile: 1}).encode())
    assert code == "unknown"
    assert shown == ("<b>??" + "x" * 1000)[:64]


@pytest.mark.parametrize("name", ["\ud800", ""])
def test_check_unknown_field_without_a_printable_name(rules, name):
    assert codes(rules.check, VALID | {name: 1}) == [("?", "unknown")]
    assert codes(rules.check_text, typed(VALID) | {name: "1"}) == [("?", "unknown")]


def test_check_text_lone_surrogate_is_no_choice(rules):
    values = typed(VALID) | {"home_status": "\ud800"}
    assert codes(rules.check_text, values) == [("home_status", "choice")]


def test_check_error_holds_nothing_of_what_was_entered(rules):
    with pytest.raises(InvalidApplication) as raised:
        rules.check_text(typed(VALID) | {"years_in_job": "secret", "home_status": "hidden"})
    assert "secret" not in repr(raised.value.errors) + str(raised.value)
    assert "hidden" not in repr(raised.value.errors) + str(raised.value)
    assert raised.value.__suppress_context__  # so that a logged traceback does not hold it either


@pytest.mark.parametrize("name", SHIPPED)
def test_check_text_accepts_every_row_of_the_data(name):
    product = read_product(name)
    rules = Rules(product)
    with product.data_file.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 1000
    refused = [
        (line, outcome(rules.check_text, row))
        for line, row in enumerate(({f: r[f] for f in product.by_name} for r in rows), start=2)
        if all(row[name] for name in product.rows.leave_out_empty)
        and isinstance(outcome(rules.check_text, row), list)
    ]
    assert refused == []
