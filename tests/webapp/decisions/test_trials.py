"""Tests of trials of other values on a decided application, which are never decisions."""

import json
import logging
import re
from dataclasses import replace

import pytest

from ml.bundle.decide import decide as judge
from ml.product.errors import MESSAGES
from ml.product.files import parse_product
from ml.product.formats import format_integer
from ml.product.texts import LANGUAGES
from ml.training.build import assemble
from tests.fixtures.desk import shown, token
from webapp.columns import decision_value
from webapp.decisions import search, service
from webapp.decisions.search import PAGE
from webapp.failures import ModelUnavailable
from webapp.ledger.transaction import unit_of_work
from webapp.serving.served import model

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ROWS = (
    "SELECT decision_id, operator_id, inputs, probability, model_decision "
    "FROM trials JOIN trial_contents ON trial_id = id ORDER BY id"
)
DECIDED = ("SELECT count(*) FROM decisions", "SELECT sum(count) FROM decision_counts")


@pytest.fixture
def decided(send, refused):
    """The address of a refusal."""
    return send(refused).location


@pytest.fixture
def attempt(signed_in):
    """Fill in the trial form on a decision's page and send it."""

    def submit(decided, **values):
        page = signed_in.get(decided).text
        [form] = re.findall(r'<form method="post" action="[^"]*/trials".*?</form>', page, re.S)
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form)[1]
        shown = dict(re.findall(r'<input[^>]*id="(\w+)" name="\1"[^>]*value="([^"]*)"', form))
        shown.pop("csrf_token", None)
        data = {**shown, "csrf_token": token, **{k: str(v) for k, v in values.items()}}
        return signed_in.post(f"{decided}/trials", data=data)

    return submit


def text_of(element):
    return " ".join("".join(element.itertext()).split())


def trials(page):
    return page.find(".//section[@id='trials']")


def last_trial(page):
    [note] = [e for e in trials(page).iter() if "trial" in e.get("class", "").split()]
    return text_of(note)


def parsed(inputs):
    """Parse the JSON text of SQLite; PostgreSQL's driver has parsed it already."""
    return json.loads(inputs) if isinstance(inputs, str) else inputs


def counter(client, name):
    """Return the samples of a metric by their labels."""
    text = client.get("/metrics").text
    return dict(re.findall(rf"^{name}(\{{.*\}}) (.*)$", text, flags=re.M))


def test_trial_is_stored_and_is_not_a_decision(
    attempt, decided, signed_in, read_page, query, bundle, refused, operator
):
    before = [query(q) for q in DECIDED], counter(signed_in, "loan_decisions_total")
    answer = attempt(decided, loan_amount="600", loan_term_months="24")
    assert answer.status_code == 303
    assert answer.location == f"{decided}#trials"
    assert ([query(q) for q in DECIDED], counter(signed_in, "loan_decisions_total")) == before
    other = {**refused, "loan_amount": 600, "loan_term_months": 24}
    probability = bundle.scorer.score(other).probability
    [(decision, user, inputs, kept, chosen)] = query(ROWS)
    assert (decision, user) == (int(decided.rpartition("/")[2]), operator.id)
    assert (kept, chosen) == (probability, decision_value(probability >= bundle.threshold))
    assert parsed(inputs) == other
    text = last_trial(read_page(signed_in.get(decided).text))
    assert text.startswith(
        "What-if (not a decision): Loan amount: 600 EUR, Term: 24 months → would be "
    )
    assert f"({probability:.1%})" in text


@pytest.mark.parametrize("kind", ["granted", "refused"])
def test_trial_is_counted(attempt, send, signed_in, bundle, product, request, kind):
    decided = send(request.getfixturevalue(kind)).location
    assert counter(signed_in, "loan_trials_total") == {}
    for many in (1, 2):
        assert attempt(decided).status_code == 303
        labels = f'{{decision="{kind}",model="{bundle.version}",product="{product.name}"}}'
        assert counter(signed_in, "loan_trials_total") == {labels: f"{many}.0"}


@ON_ONE
def test_trial_values_are_not_logged(attempt, decided, caplog):
    with caplog.at_level(logging.DEBUG):
        assert attempt(decided, loan_amount="5678", loan_term_months="37").status_code == 303
    [line] = [r.message for r in caplog.records if r.name == "webapp.decisions.pages"]
    assert re.fullmatch(r"trial \d+ on decision \d+ by user \d+", line)
    assert "5678" not in caplog.text
    assert "37" not in line


@ON_ONE
@pytest.mark.parametrize("language", LANGUAGES)
def test_trial_in_both_languages(attempt, decided, signed_in, read_page, language, bundle, refused):
    signed_in.set_cookie("language", language)
    price = refused["purchase_price"]
    amount = format_integer(price, language)
    assert attempt(decided, loan_amount=amount).status_code == 303
    note = last_trial(read_page(signed_in.get(decided).text))
    amount = " ".join(amount.split())
    granted = bundle.scorer.score({**refused, "loan_amount": price}).probability >= bundle.threshold
    expected = {
        "en": ("What-if (not a decision):", f"Loan amount: {amount} EUR", "would be refused"),
        "fr": (
            "Simulation, sans valeur de décision :",
            f"Montant du prêt : {amount} EUR",
            "serait refusé",
        ),
    }[language]
    assert not granted
    assert all(words in note for words in expected), note


WRONG = [
    ({"loan_amount": "7,5"}, {"loan_amount": "integer"}),
    ({"loan_amount": ""}, {"loan_amount": "required"}),
    ({"loan_amount": "499"}, {"loan_amount": "range"}),
    (
        {"loan_amount": "many", "loan_term_months": "99"},
        {"loan_amount": "integer", "loan_term_months": "range"},
    ),
    ({"loan_term_months": "<b>"}, {"loan_term_months": "integer"}),
]


@ON_ONE
def test_invalid_trial_keeps_the_typed_values(attempt, decided, query, read_page, product):
    for typed, wrong in WRONG:
        answer = attempt(decided, **typed)
        assert answer.status_code == 422
        page = read_page(answer.text)
        for name, value in typed.items():
            assert shown(page, name) == value
        [focus] = [e for e in page.iter() if "autofocus" in e.attrib]
        assert focus.get("name") == next(iter(wrong))  # and not the link to the next application
        for name, code in wrong.items():
            error = page.find(f".//*[@id='{name}-error']")
            field = product.by_name[name]
            bounds = {"minimum": field.minimum, "maximum": f"{field.maximum:,}"}
            assert text_of(error) == MESSAGES[code].en.format(**bounds)
    assert query("SELECT count(*) FROM trials") == [(0,)]


@ON_ONE
def test_invalid_trial_still_shows_the_explanation(attempt, decided, read_page):
    page = read_page(attempt(decided, loan_amount="").text)
    assert page.find(".//ol[@class='reasons']/li") is not None
    assert text_of(trials(page).find(".//h2")) == "What would change this decision"


@ON_ONE
def test_trial_above_the_limit_of_another_field(
    attempt, decided, query, read_page, refused, product
):
    price = refused["purchase_price"]
    answer = attempt(decided, loan_amount=price + 1)
    assert answer.status_code == 422
    error = text_of(read_page(answer.text).find(".//*[@id='loan_amount-error']"))
    other = product.by_name["purchase_price"].label.en
    assert error == MESSAGES["at_most"].en.format(other=other)
    assert query("SELECT count(*) FROM trials") == [(0,)]
    assert attempt(decided, loan_amount=price).status_code == 303


@ON_ONE
@pytest.mark.parametrize(("language", "word"), [("en", "less"), ("fr", "inférieur")])
def test_trial_of_a_limit_below_an_unchangeable_field(
    restart, sign_in, put, typical, trained, origin, tmp_path, read_page, language, word
):
    text = origin.definition.decode()
    end = text.index('name = "loan_term_months"')
    loan = text[:end].replace("changeable = true\n", "")
    loan = loan.replace('kind = "integer"\n', 'kind = "integer"\nchangeable = true\n')
    loan = loan.replace("changeable = true\n", "", 1)  # the amount's; the price stays changeable
    text = loan + text[end:]
    product = parse_product(text, source="another")
    assert [f.name for f in product.inputs if f.changeable] == [
        "purchase_price",
        "loan_term_months",
    ]
    own = assemble(tmp_path / "own", product, trained, replace(origin, definition=text.encode()))
    browser = sign_in(restart(own.directory))
    browser.set_cookie("language", language)
    decided = f"/decisions/{put(typical, model=own.version)}"
    low = str(typical["loan_amount"] - 1)
    data = {"csrf_token": token(browser, decided), "purchase_price": low, "loan_term_months": "6"}
    answer = browser.post(f"{decided}/trials", data=data)
    assert (answer.status_code, answer.mimetype) == (422, "text/html")
    page = read_page(answer.text)
    error = text_of(page.find(".//*[@id='purchase_price-error']"))
    assert word in error
    assert product.by_name["loan_amount"].label.in_language(language) in error
    assert shown(page, "purchase_price") == format_integer(int(low), language)


def test_trial_changes_only_changeable_fields(attempt, decided, query, refused, product):
    fixed = {f.name for f in product.inputs if not f.changeable}
    assert {"monthly_income", "adverse_credit_record"} <= fixed
    more = {"monthly_income": 9_999, "adverse_credit_record": 0, "assets": "", "protected_age": 40}
    answer = attempt(decided, loan_amount=700, **more)
    assert answer.status_code == 303
    [(_, _, inputs, _, _)] = query(ROWS)
    assert parsed(inputs) == {**refused, "loan_amount": 700}


def test_trials_are_listed_newest_first(attempt, decided, signed_in, read_page):
    for amount in (700, 800, 900):
        attempt(decided, loan_amount=amount)
    section = trials(read_page(signed_in.get(decided).text))
    [details] = section.iter("details")
    assert text_of(details.find("summary")) == "3 what-ifs"
    lines = [text_of(item) for item in details.iter("li")]
    assert ["clerk: Loan amount: " in line for line in lines] == [True] * 3
    assert [re.search(r"Loan amount: (\d+) EUR", line)[1] for line in lines] == [
        "900",
        "800",
        "700",
    ]


@ON_ONE
def test_trial_of_the_same_values(attempt, decided, signed_in, read_page):
    attempt(decided)
    note = last_trial(read_page(signed_in.get(decided).text))
    assert note.startswith("What-if (not a decision): the same values → would be refused")


@ON_ONE
def test_list_trials_of_one_decision_is_at_most_a_page(app, put, refused, operator):
    first, second = put(refused), put(refused)
    with app.app_context():
        verdict = judge(model.bundle, refused)
        with unit_of_work() as transaction:
            ids = [
                service.add_trial(transaction, number, refused, verdict, operator=operator)
                for number in [*[first] * (PAGE + 2), second]
            ]
        listed = [search.list_trials(search.find_decision(n)[0]) for n in (first, second)]
    assert [t.id for t in listed[0]] == ids[PAGE + 1 : 1 : -1]
    assert [t.id for t in listed[1]] == ids[-1:]


@ON_ONE
def test_trials_of_a_missing_model(app, put, refused, operator, signed_in, read_page, query):
    number = put(refused)
    with app.app_context():
        decision, _ = search.find_decision(number)
        with pytest.raises(ModelUnavailable, match="is missing"):
            service.judge_trial(decision, refused)
    assert query("SELECT count(*) FROM trials") == [(0,)]
    data = {"csrf_token": token(signed_in, "/decisions"), "loan_amount": "700"}
    assert signed_in.post(f"/decisions/{number}/trials", data=data).status_code == 404


@ON_ONE
def test_trial_address_redirects_to_the_decision(signed_in, decided):
    """After an invalid trial, a reload or a change of the language sends a GET."""
    answer = signed_in.get(f"{decided}/trials")
    assert (answer.status_code, answer.location) == (302, f"{decided}#trials")


def test_trials_are_never_changed(attempt, decided, query, query_at, config):
    attempt(decided)
    before = query("SELECT * FROM trials")
    for statement in (
        "UPDATE trials SET model_decision = 'granted'",
        "UPDATE trials SET id = id + 1",
        "DELETE FROM trials",
        *(["TRUNCATE trials CASCADE"] if config.database_url else []),
    ):
        with pytest.raises(Exception, match="trials are never changed"):
            query_at(config.database_url or config.instance, statement)
    assert str(query("SELECT * FROM trials")) == str(before)
