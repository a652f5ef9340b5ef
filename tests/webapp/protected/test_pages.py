"""Tests of the voluntary questions about protected fields."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest

from tests.fixtures.databases import add_user
from tests.fixtures.desk import token
from webapp.columns import now
from webapp.protected.service import ANSWER_WITHIN

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
VALUES = "SELECT field, value FROM protected_attributes ORDER BY field"
ANSWERS = "SELECT id, operator_id FROM protected_answers"
LINK = "Voluntary questions for fairness"
SAID = {"protected_age": "34", "protected_marital_status": "widowed"}


@pytest.fixture
def decided(send, granted):
    """The address of a decision that the clerk has entered."""
    return send(granted).location


@pytest.fixture
def answer(signed_in):
    """Open the questions of a decision and answer them."""

    def give(decided, browser=signed_in, **said):
        form = {"csrf_token": token(browser, f"{decided}/protected"), **said}
        return browser.post(f"{decided}/protected", data=form)

    return give


def number_of(decided):
    return int(decided.rpartition("/")[2])


def test_answer_is_stored_apart_once_and_never_shown(signed_in, decided, answer, query, caplog):
    assert LINK in signed_in.get(decided).text
    before = query("SELECT * FROM decisions"), query("SELECT * FROM decision_contents")
    given = answer(decided, **SAID)
    assert (given.status_code, given.location) == (303, f"{decided}#protected")
    assert query(VALUES) == list(SAID.items())
    assert (query("SELECT * FROM decisions"), query("SELECT * FROM decision_contents")) == before
    page = signed_in.get(decided).text
    assert "The voluntary questions have been answered." in page
    again = signed_in.get(f"{decided}/protected").text
    assert "These questions have been answered." in again
    for text in (page, again):
        assert "protected_age" not in text
        assert "idowed" not in text
    form = {"csrf_token": token(signed_in, "/applications/new"), "protected_age": "50"}
    assert signed_in.post(f"{decided}/protected", data=form).status_code == 200
    assert query(VALUES) == list(SAID.items())
    assert "idowed" not in caplog.text


@ON_ONE
@pytest.mark.parametrize(
    ("language", "declined"), [("en", "Prefer not to say"), ("fr", "Ne souhaite pas répondre")]
)
def test_page_asks_for_each_protected_field(
    signed_in, decided, product, read_page, language, declined
):
    signed_in.set_cookie("language", language)
    text = signed_in.get(f"{decided}/protected").text
    page = read_page(text)
    for field in product.protected:
        controls = [e for e in page.iter("input") if e.get("name") == field.name]
        assert controls
        assert field.label.in_language(language) in text
        if field.kind == "integer":
            assert controls[0].get("value") == ""
        else:
            [checked] = [c.get("value") for c in controls if "checked" in c.attrib]
            assert checked == ""
    assert text.count(declined) == sum(f.kind != "integer" for f in product.protected)


@ON_ONE
def test_nobody_has_to_say_anything(decided, answer, query, signed_in):
    assert answer(decided, protected_age=" ", protected_marital_status="").status_code == 303
    assert query(VALUES) == []
    assert len(query(ANSWERS)) == 1
    assert "These questions have been answered." in signed_in.get(f"{decided}/protected").text


@ON_ONE
def test_wrong_answer_is_shown_beside_its_field(decided, answer, query, read_page):
    given = answer(decided, protected_age="7", protected_marital_status="queen")
    assert given.status_code == 422
    ids = {e.get("id"): "".join(e.itertext()) for e in read_page(given.text).iter() if e.get("id")}
    assert "from 18 to 100" in ids["protected_age-error"]
    assert ids["protected_marital_status-error"]
    assert query(ANSWERS) == []


@ON_ONE
def test_only_who_entered_the_decision_may_ask(app, decided, query, sign_in):
    with app.app_context():
        add_user("anna", "correct horse battery")
    anna = sign_in(app.test_client(), "anna")
    assert LINK not in anna.get(decided).text
    assert anna.get(f"{decided}/protected").status_code == 404
    form = {"csrf_token": token(anna, "/applications/new"), **SAID}
    assert anna.post(f"{decided}/protected", data=form).status_code == 404
    assert query(ANSWERS) == []


@ON_ONE
def test_decisions_of_an_api_key_are_not_asked_about(post, granted, signed_in):
    number = post(granted).json["id"]
    assert LINK not in signed_in.get(f"/decisions/{number}").text
    assert signed_in.get(f"/decisions/{number}/protected").status_code == 404


@ON_ONE
def test_decisions_of_a_batch_are_not_asked_about(put, granted, bundle, signed_in):
    number = put(granted, channel="batch", model=bundle.version)
    assert LINK not in signed_in.get(f"/decisions/{number}").text
    assert signed_in.get(f"/decisions/{number}/protected").status_code == 404


@ON_ONE
def test_questions_end_after_a_day(put, granted, bundle, signed_in, query):
    late = now() - ANSWER_WITHIN - timedelta(seconds=5)
    number = put(granted, created_at=late, model=bundle.version)
    assert LINK not in signed_in.get(f"/decisions/{number}").text
    page = signed_in.get(f"/decisions/{number}/protected")
    assert "That time is over." in page.text
    form = {"csrf_token": token(signed_in, "/applications/new"), **SAID}
    assert signed_in.post(f"/decisions/{number}/protected", data=form).status_code == 200
    assert query(ANSWERS) == []


@ON_ONE
def test_erased_decision_is_not_asked_about(app, decided, signed_in):
    app.test_cli_runner().invoke(args=["erase", "--decision", str(number_of(decided))])
    assert signed_in.get(f"{decided}/protected").status_code == 404


@ON_ONE
def test_product_that_is_no_longer_known(put, granted, signed_in):
    number = put(granted)
    assert LINK not in signed_in.get(f"/decisions/{number}").text
    assert signed_in.get(f"/decisions/{number}/protected").status_code == 404


def test_answers_at_once_are_stored_once(app, decided, sign_in, query):
    browsers = [sign_in(app.test_client()) for _ in range(2)]
    forms = [{"csrf_token": token(b, f"{decided}/protected"), **SAID} for b in browsers]
    start = Barrier(2)

    def press(i):
        start.wait(30)
        return browsers[i].post(f"{decided}/protected", data=forms[i]).status_code

    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(press, range(2))) <= {200, 303}
    assert query(VALUES) == list(SAID.items())
    assert [number for number, _ in query(ANSWERS)] == [number_of(decided)]
