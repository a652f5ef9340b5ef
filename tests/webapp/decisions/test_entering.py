"""What helps while an application is entered: cents, the bank's own reference, the figures."""

import json
import re

import pytest

from ml.product.figures import figures_of
from ml.product.files import read_product
from ml.product.texts import Text
from webapp.decisions.entering import shown_figures
from webapp.decisions.forms import application_form

FORM = "/applications/new"
FRENCH = {"Accept-Language": "fr"}
ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def typed(typed):
    return {**typed, "loan_term_months": "24"}


def by_id(page, name):
    return next((e for e in page.iter() if e.get("id") == name), None)


def text(element):
    return " ".join("".join(element.itertext()).split())


@ON_ONE
@pytest.mark.parametrize(
    ("headers", "entered", "shown", "note"),
    [
        ({}, "7,000.50", "7,001", "7,000.50 was rounded to 7,001: only whole amounts are used."),
        (
            FRENCH,
            "7 000,49",
            "7\u202f000",
            "7 000,49 a été arrondi à 7\u202f000\u00a0: seuls les montants entiers sont utilisés.",
        ),
    ],
)
def test_cents_are_rounded_with_a_note_and_sent_again(
    signed_in, hidden, typed, query, read_page, headers, entered, shown, note
):
    form = {**hidden(signed_in), **typed, "loan_amount": entered}
    answer = signed_in.post(FORM, data=form, headers=headers)
    assert answer.status_code == 422
    assert query("SELECT count(*) FROM decisions") == [(0,)]
    page = read_page(answer.text)
    assert by_id(page, "loan_amount").get("value") == shown
    assert by_id(page, "loan_amount").get("aria-describedby") == "loan_amount-help loan_amount-note"
    assert "".join(by_id(page, "loan_amount-note").itertext()) == note
    assert note in "".join(by_id(page, "summary").itertext())
    again = signed_in.post(FORM, data={**form, "loan_amount": shown}, headers=headers)
    assert again.status_code == 303
    assert query("SELECT amount FROM decisions") == [(7001 if headers == {} else 7000,)]


@ON_ONE
def test_whole_amount_with_decimals_needs_no_note(send, typed, query):
    assert send(typed, loan_amount="7 000,00").status_code == 303
    assert query("SELECT amount FROM decisions") == [(7000,)]


@ON_ONE
def test_only_amounts_of_money_are_rounded(send, typed, read_page):
    page = read_page(send(typed, loan_term_months="12.50").text)
    assert text(by_id(page, "loan_term_months-error")) == "Enter a whole number."
    assert by_id(page, "loan_term_months").get("value") == "12.50"


@ON_ONE
def test_cents_of_an_amount_that_is_wrong(send, typed, read_page):
    page = read_page(send(typed, loan_amount="99 000,50").text)
    assert by_id(page, "loan_amount").get("value") == "99,001"
    assert "from 500 to 50,000" in text(by_id(page, "loan_amount-error"))
    assert "99 000,50 was rounded to 99,001" in text(by_id(page, "loan_amount-note"))


@ON_ONE
def test_cents_of_a_trial_are_noted(send, signed_in, refused, read_page, query):
    number = send(refused).location.rpartition("/")[2]
    page = signed_in.get(f"/decisions/{number}").text
    token = page.rpartition('name="csrf_token" type="hidden" value="')[2].partition('"')[0]
    form = {"csrf_token": token, "loan_amount": "900.50", "loan_term_months": "12"}
    answer = signed_in.post(f"/decisions/{number}/trials", data=form)
    assert answer.status_code == 422
    assert "900.50 was rounded to 901" in text(by_id(read_page(answer.text), "loan_amount-note"))
    assert query("SELECT count(*) FROM trials") == [(0,)]


def test_reference_is_stored(send, typed, query, signed_in):
    answer = send(typed, reference=" 2026/000123 ")
    assert answer.status_code == 303
    assert query("SELECT reference FROM decision_contents") == [("2026/000123",)]
    assert "2026/000123" in signed_in.get(answer.location).text


@ON_ONE
def test_reference_left_empty(send, typed, query):
    assert send(typed, reference=" ").status_code == 303
    assert query("SELECT reference FROM decision_contents") == [(None,)]


@ON_ONE
@pytest.mark.parametrize(
    ("headers", "message"),
    [({}, "Enter 1 to 64 letters"), (FRENCH, "Indiquez de 1 à 64 lettres")],
)
def test_reference_that_breaks_the_rule(
    signed_in, hidden, typed, read_page, query, headers, message
):
    form = {**hidden(signed_in), **typed, "reference": "N° 17: é"}
    answer = signed_in.post(FORM, data=form, headers=headers)
    assert answer.status_code == 422
    page = read_page(answer.text)
    assert message in text(by_id(page, "reference-error"))
    assert message in text(by_id(page, "summary"))
    assert by_id(page, "reference").get("value") == "N° 17: é"
    assert query("SELECT count(*) FROM decisions") == [(0,)]


@ON_ONE
def test_another_reference_is_another_application(signed_in, hidden, typed, query):
    form = {**hidden(signed_in), **typed}
    for reference in ("A-1", "A-2", "A-1"):
        assert signed_in.post(FORM, data={**form, "reference": reference}).status_code == 303
    assert query("SELECT reference FROM decision_contents ORDER BY decision_id") == [
        ("A-1",),
        ("A-2",),
    ]


@ON_ONE
@pytest.mark.parametrize(
    ("headers", "instalment", "share"),
    [({}, "291.67 EUR/month", "77.8%"), (FRENCH, "291,67 EUR/mois", "77,8\u202f%")],
)
def test_figures_of_what_is_shown_again(
    signed_in, hidden, typed, read_page, headers, instalment, share
):
    form = {**hidden(signed_in), **typed, "years_in_job": "many"}
    page = read_page(signed_in.post(FORM, data=form, headers=headers).text)
    figures = by_id(page, "figures")
    assert figures.get("hidden") is None
    values = [text(dd) for dd in figures.iter("dd")]
    assert values == [instalment, share.replace("\u202f", " ")] or values == [instalment, share]


@ON_ONE
def test_figures_of_an_empty_form_wait(signed_in, read_page):
    figures = by_id(read_page(signed_in.get(FORM).text), "figures")
    assert "hidden" in figures.attrib
    assert [text(dd) for dd in figures.iter("dd")] == ["– EUR/month", "–"]


@ON_ONE
def test_help_is_shown_for_every_kind_of_field(app, product):
    text_of_help = Text(en="Ask for a proof.", fr="Demander un justificatif.")
    fields = [f.model_copy(update={"help": text_of_help}) for f in product.inputs]
    with app.test_request_context():
        form = application_form(product)
        question = app.jinja_env.get_template("decisions/questions.html").module.question
        shown = {field.kind: str(question(field, form[field.name])) for field in fields}
    assert shown.keys() == {"integer", "choice", "flag"}
    for html in shown.values():
        [described] = re.findall(r'aria-describedby="([^"]*)"', html)
        assert re.search(rf'id="{described}">[^<]*Ask for a proof\.</div>', html)


@ON_ONE
def test_formulas_are_those_of_the_product(app, product):
    with app.test_request_context():
        shown = shown_figures(product, application_form(product))
    formulas = [json.loads(figure.formula) for figure in shown]
    quantities = [figure.quantity for figure in figures_of(product)]
    assert [f["sum"] for f in formulas] == [q.sum for q in quantities]
    assert [tuple(f["over"]) for f in formulas] == [q.over for q in quantities]


@ON_ONE
@pytest.mark.parametrize(
    ("headers", "button", "warning"),
    [
        ({}, "Decide all the same", "Monthly expenses: below 210 EUR"),
        (FRENCH, "Décider malgré tout", "Charges mensuelles\u00a0: moins de 210 EUR"),
    ],
)
def test_warning_is_shown_once_and_blocks_nothing(
    signed_in, hidden, typed, query, read_page, headers, button, warning
):
    form = {**hidden(signed_in), **typed, "monthly_expenses": "0"}
    answer = signed_in.post(FORM, data=form, headers=headers)
    assert answer.status_code == 422
    page = read_page(answer.text)
    assert warning.replace("\u00a0", " ") in text(by_id(page, "summary"))
    assert text(next(b for b in page.iter("button") if "btn-lg" in b.get("class", ""))) == button
    assert query("SELECT count(*) FROM decisions") == [(0,)]
    noted = by_id(page, "noted").get("value")
    assert noted == "low_expenses"
    again = signed_in.post(FORM, data={**form, "noted": noted}, headers=headers)
    assert again.status_code == 303
    assert query("SELECT count(*) FROM decisions") == [(1,)]


@ON_ONE
def test_warning_that_no_longer_holds_is_gone(send, typed, query):
    assert send(typed, monthly_expenses="209").status_code == 422
    assert send(typed, monthly_expenses="210").status_code == 303
    assert query("SELECT count(*) FROM decisions") == [(1,)]


@ON_ONE
def test_rounding_and_warning_are_shown_together(send, typed, read_page):
    answer = send(typed, monthly_expenses="199.70")
    summary = text(by_id(read_page(answer.text), "summary"))
    assert "199.70 was rounded to 200" in summary
    assert "below 210 EUR" in summary
    assert send(typed, monthly_expenses="200", noted="low_expenses").status_code == 303


def test_warnings_of_the_mortgage():
    [notice] = read_product("mortgage").warnings
    housing = {"housing_expense_monthly": 900}
    assert notice.holds(housing | {"total_obligations_monthly": 899})
    assert not notice.holds(housing | {"total_obligations_monthly": 900})


@ON_ONE
@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("loan_term_months", ["416.67 USD/month", "80.0% "]),
        (None, ["80.0% "]),
    ],
)
def test_figures_of_a_mortgage_and_without_a_term(app, term, expected):
    mortgage = read_product("mortgage").model_copy(update={"term": term})
    data = {"loan_amount": "100,000", "property_price": "125000", "loan_term_months": "240"}
    with app.test_request_context(FORM, method="POST", data=data):
        shown = shown_figures(mortgage, application_form(mortgage))
    assert [f"{figure.value} {figure.unit}" for figure in shown] == expected
