"""Tests of corrections: a new application that begins with the answers of a decided one."""

import pytest

from ml.bundle.decide import decide
from ml.training.dataset import as_applications
from tests.fixtures.databases import PASSWORD, add_user
from webapp.columns import MAX_ID
from webapp.decisions import search, service
from webapp.decisions.explanations import find_changes
from webapp.ledger.transaction import unit_of_work

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def text_of(element):
    return " ".join("".join(element.itertext()).split())


@pytest.fixture
def form(signed_in, read_page):
    """Open the form that corrects a decision; return its title and the values that stand in it."""

    def read(number, **more):
        answer = signed_in.get("/applications/new", query_string={"corrects": number, **more})
        assert answer.status_code == 200
        page = read_page(answer.text)
        [form] = [f for f in page.iter("form") if f.get("id") == "application"]
        values = {
            e.get("name"): e.get("value", "")
            for e in form.iter("input")
            if e.get("type") != "radio" or "checked" in e.attrib
        }
        for select in form.iter("select"):
            chosen = [o.get("value") for o in select.iter("option") if "selected" in o.attrib]
            values[select.get("name")] = chosen[0] if chosen else ""
        return text_of(page.find(".//h1")), values

    return read


def typed(application):
    return {n: "" if v is None else str(v) for n, v in application.items()}


def stated(values):
    """Return the values of fields, without the separators of numbers."""
    return {n: v.replace(",", "") for n, v in values.items()}


def test_correction_begins_with_the_answers_and_is_linked(
    send, signed_in, read_page, refused, form, query
):
    first = send(refused, reference="LN/7").location
    number = int(first.rpartition("/")[2])
    title, values = form(number)
    assert title == f"Correction of decision {number}"
    assert values["reference"] == "LN/7"
    assert stated(values).items() >= typed(refused).items()
    corrected = {**refused, "monthly_income": 2_000}
    second = send(corrected, reference="LN/7", corrects=str(number)).location
    later = int(second.rpartition("/")[2])
    assert query("SELECT id, corrects FROM decisions ORDER BY id") == [
        (number, None),
        (later, number),
    ]
    for location, this, other in ((first, number, later), (second, later, number)):
        page = read_page(signed_in.get(location).text)
        lines = [text_of(i) for i in page.findall(".//section[@id='corrections']//li")]
        assert [line.split()[1] for line in lines] == [str(number), str(later)]
        assert f"Decision {this} (this page)" in lines[this == later]
        assert lines[1].endswith(f"corrects decision {number}")
        links = [a.get("href") for a in page.findall(".//section[@id='corrections']//a")]
        assert links == [f"/decisions/{other}"]
    history = read_page(signed_in.get(first).text).find(".//section[@id='history']")
    assert f"Corrected by decision {later}" in text_of(history)


def test_correction_of_a_correction_makes_a_chain(put, refused, signed_in, read_page):
    first = put(refused)
    second = put(refused, corrects=first)
    third, branch = put(refused, corrects=second), put(refused, corrects=first)
    alone = put(refused)
    chain = [first, second, third, branch]
    for number in chain:
        page = read_page(signed_in.get(f"/decisions/{number}").text)
        lines = [text_of(i) for i in page.findall(".//section[@id='corrections']//li")]
        assert [int(line.split()[1]) for line in lines] == chain
    assert 'id="corrections"' not in signed_in.get(f"/decisions/{alone}").text


@ON_ONE
def test_correction_from_a_trial_begins_with_its_values(
    app, bundle, send, refused, form, operator, signed_in, read_page
):
    location = send(refused).location
    number = int(location.rpartition("/")[2])
    other = {**refused, "loan_amount": 600, "loan_term_months": 24}
    with app.app_context(), unit_of_work() as transaction:
        trial = service.add_trial(
            transaction, number, other, decide(bundle, other), operator=operator
        )
    page = read_page(signed_in.get(location).text)
    note = next(e for e in page.iter("div") if "trial" in e.get("class", "").split())
    assert note.find("a").get("href") == f"/applications/new?corrects={number}&trial={trial}"
    _, values = form(number, trial=trial)
    assert stated(values).items() >= typed(other).items()
    for wrong in (trial + 1, "x", MAX_ID + 1):
        answer = signed_in.get(f"/applications/new?corrects={number}&trial={wrong}")
        assert answer.status_code == 404


@ON_ONE
def test_correction_from_a_suggested_loan_begins_with_its_values(
    app, origin, bundle, put, signed_in, read_page, form
):
    refusals = (a for a in as_applications(origin.rows.fields) if not decide(bundle, a).granted)
    with app.app_context():
        for application in refusals:
            number = put(application, model=bundle.version)
            changes = find_changes(*search.find_decision(number))
            if changes.suggestions:
                break
    page = read_page(signed_in.get(f"/decisions/{number}").text)
    links = [a for a in page.iter("a") if text_of(a) == "Apply with these values"]
    assert [link.get("href") for link in links] == [
        f"/applications/new?corrects={number}&offer={place}"
        for place in range(1, len(changes.suggestions) + 1)
    ]
    for place, suggestion in enumerate(changes.suggestions, 1):
        _, values = form(number, offer=place)
        assert stated(values).items() >= typed({**application, **suggestion.values}).items()
    for wrong in (0, len(links) + 1, "x"):
        answer = signed_in.get(f"/applications/new?corrects={number}&offer={wrong}")
        assert answer.status_code == 404


@ON_ONE
def test_correction_of_what_cannot_be_corrected_is_not_found(
    app, put, refused, send, signed_in, query, sign_in
):
    erased, foreign, others = put(refused), put(refused, product="yacht_loan"), put(refused)
    query(f"DELETE FROM decision_contents WHERE decision_id = {erased}")
    for number in (erased, foreign, others + 1, 0, MAX_ID, "9" * 400, "-1", "x", "١"):
        answer = signed_in.get("/applications/new", query_string={"corrects": number})
        assert answer.status_code == 404, number
        assert send(refused, corrects=str(number)).status_code == 404, number
    with app.app_context():
        add_user("teller", PASSWORD, ["clerk"])
    browser = sign_in(app.test_client(), "teller")
    assert browser.get("/applications/new", query_string={"corrects": others}).status_code == 404
    for number, count in ((erased, 0), (foreign, 0), (others, 1)):
        page = signed_in.get(f"/decisions/{number}").text
        assert page.count(f"/applications/new?corrects={number}") == count
    assert query("SELECT count(*) FROM decisions WHERE corrects IS NOT NULL") == [(0,)]


@ON_ONE
def test_correction_with_wrong_values_stays_a_correction(put, refused, send, read_page):
    number = put(refused)
    answer = send({**refused, "loan_amount": "x"}, corrects=str(number))
    assert answer.status_code == 422
    page = read_page(answer.text)
    assert text_of(page.find(".//h1")) == f"Correction of decision {number}"
    [hidden] = [e for e in page.iter("input") if e.get("name") == "corrects"]
    assert hidden.get("value") == str(number)


@ON_ONE
def test_new_application_corrects_nothing(signed_in, read_page, send, refused, query):
    page = read_page(signed_in.get("/applications/new").text)
    [hidden] = [e for e in page.iter("input") if e.get("name") == "corrects"]
    assert hidden.get("value", "") == ""
    send(refused)
    assert query("SELECT corrects FROM decisions") == [(None,)]
