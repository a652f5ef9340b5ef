"""The form of a new application."""

import pytest
from markupsafe import escape

from ml.product.formats import format_integer
from tests.fixtures.desk import controls, shown

FORM = "/applications/new"
COUNT = "SELECT count(*) FROM decisions"
# For tests in which the kind of database does not matter.
ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
FRENCH = {"Accept-Language": "fr-FR,fr;q=0.9"}


def descriptions(page):
    """Return the ids that describe each field, by the field's name."""
    described = {}
    for element in page.iter():
        if "aria-describedby" in element.attrib:
            control = next(e for e in element.iter() if e.get("name"))
            described[control.get("name")] = element.get("aria-describedby")
    return described


@ON_ONE
def test_new_not_signed_in(client):
    answer = client.get(FORM)
    assert answer.status_code == 302
    assert answer.location == "/login?next=/applications/new"


@ON_ONE
def test_home_redirects_to_form(signed_in):
    assert signed_in.get("/").location == FORM


@ON_ONE
@pytest.mark.parametrize(("language", "headers"), [("en", {}), ("fr", FRENCH)])
def test_new_shows_every_field(signed_in, product, read_page, language, headers):
    answer = signed_in.get(FORM, headers=headers)
    assert answer.status_code == 200
    page = read_page(answer.text)
    assert page.get("lang") == language
    for group in product.groups:
        assert escape(group.label.in_language(language)) in answer.text
    for field in product.inputs:
        assert controls(page, field.name), field.name
        for text in (field.label, field.unit, field.help, *(c.label for c in field.choices)):
            assert text is None or escape(text.in_language(language)) in answer.text
        for bound in (field.minimum, field.maximum):
            assert bound is None or format_integer(bound, language) in answer.text


@ON_ONE
def test_new_every_field_has_its_label(signed_in, product, read_page):
    page = read_page(signed_in.get(FORM).text)
    named = {e.get("for") for e in page.iter("label")}
    for field in product.inputs:
        assert {e.get("id") for e in controls(page, field.name)} <= named
    ids = [e.get("id") for e in page.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    described = {f.name: f"{f.name}-help" for f in product.inputs if f.kind == "integer"}
    assert descriptions(page) == described | {"reference": "reference-help"}


@ON_ONE
@pytest.mark.parametrize(("headers", "empty"), [({}, "Choose…"), (FRENCH, "Choisir…")])
def test_new_form_has_no_answer_selected(signed_in, product, read_page, headers, empty):
    """A choice that is left alone is not sent as its first answer."""
    page = read_page(signed_in.get(FORM, headers=headers).text)
    assert {f.name: shown(page, f.name) for f in product.inputs} == dict.fromkeys(
        product.by_name, ""
    )
    for field in product.inputs:
        if field.kind == "choice":
            [select] = controls(page, field.name)
            first = next(select.iter("option"))
            assert (first.get("value"), first.text) == ("", empty), field.name


@ON_ONE
def test_new_asks_for_no_protected_field(signed_in, product, read_page):
    answer = signed_in.get(FORM)
    page = read_page(answer.text)
    assert product.protected
    for field in product.protected:
        assert not controls(page, field.name)
        assert field.label.en not in answer.text


def test_new_valid_redirects_to_decision(send, granted, signed_in, query):
    answer = send(granted)
    assert answer.status_code == 303
    assert query("SELECT id FROM decisions") == [(int(answer.location.rpartition("/")[2]),)]
    assert signed_in.get(answer.location).status_code == 200


@ON_ONE
def test_new_amount_with_thousands_separators(send, typed, query):
    amounts = ["7 000", "7,000", "7\u202f000", "7\u00a0000", " 7000 ", "7’000"]
    for amount in amounts:
        assert send(typed, loan_amount=amount).status_code == 303
    assert query("SELECT amount FROM decisions") == [(7000,)] * len(amounts)


@ON_ONE
def test_new_income_left_empty(send, typed, query):
    assert send(typed, monthly_income=" ").status_code == 303
    assert query(COUNT) == [(1,)]


@ON_ONE
def test_new_error_keeps_every_value(send, typed, product, query, read_page):
    typed["loan_amount"] = "7,5"
    answer = send(typed)
    assert answer.status_code == 422
    assert query(COUNT) == [(0,)]
    page = read_page(answer.text)
    written = {
        f.name: format_integer(int(typed[f.name]), "en")
        for f in product.inputs
        if f.kind == "integer" and typed[f.name].isdigit()
    }
    assert {f.name: shown(page, f.name) for f in product.inputs} == typed | written


WRONG = [
    ({"loan_amount": "many"}, ["loan_amount"]),
    ({"loan_amount": ""}, ["loan_amount"]),
    ({"loan_amount": "8 000", "purchase_price": "7 000"}, ["loan_amount"]),
    (
        {"loan_term_months": "99", "employment_type": "king"},
        ["loan_term_months", "employment_type"],
    ),
    ({"adverse_credit_record": "2"}, ["adverse_credit_record"]),
    ({"adverse_credit_record": ""}, ["adverse_credit_record"]),
    ({"employment_type": "", "home_status": ""}, ["employment_type", "home_status"]),
    ({"years_in_job": "-1"}, ["years_in_job"]),
    ({"years_in_job": "9" * 5000}, ["years_in_job"]),
    ({"years_in_job": b"\xff\xed\xa0\x80"}, ["years_in_job"]),
]


@ON_ONE
def test_new_error_beside_field_and_in_summary(send, typed, read_page, query):
    for wrong, named in WRONG:
        answer = send(typed, **wrong)
        assert answer.status_code == 422
        page = read_page(answer.text)
        ids = {e.get("id"): e for e in page.iter() if e.get("id")}
        described = descriptions(page).items()
        assert [name for name, its in described if f"{name}-error" in its.split()] == named
        links = [a.get("href") for a in ids["summary"].iter("a")]
        assert [link[1:].removesuffix("-0") for link in links] == named
        assert {link[1:] for link in links} <= set(ids)
        assert [i for i in ids if i.endswith("-error")] == [f"{name}-error" for name in named]
        for name in named:
            message = "".join(ids[f"{name}-error"].itertext()).strip()
            assert message
            assert message in "".join(ids["summary"].itertext())
    assert query(COUNT) == [(0,)]


@ON_ONE
def test_new_error_in_french(signed_in, hidden, typed, product):
    form = {**hidden(signed_in), **typed, "loan_term_months": "1000"}
    page = signed_in.post(FORM, data=form, headers=FRENCH).text
    assert "Indiquez un nombre entier de 6 à 72." in page


@ON_ONE
def test_new_hostile_text_is_escaped(send, typed, read_page):
    for hostile in ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7*7 }}"):
        fields = ("loan_amount", "employment_type", "adverse_credit_record", "submission")
        answer = send(typed, **dict.fromkeys(fields, hostile))
        assert answer.status_code == 422
        page = read_page(answer.text)
        assert shown(page, "loan_amount") == shown(page, "submission") == hostile
        assert not [e for e in page.iter("script") if not e.get("src")]
        assert not [e for e in page.iter() if any(name.startswith("on") for name in e.attrib)]
