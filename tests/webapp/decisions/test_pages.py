"""The pages of decisions."""

import re
from datetime import UTC, datetime
from xml.etree.ElementTree import Element
from zoneinfo import ZoneInfo

import pytest

from ml.product.formats import format_integer
from webapp.challenger.worker import Challenger
from webapp.columns import MAX_ID, now

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ENTERED, SEEN = "What was entered", "What the model saw"


def token(browser, path):
    return re.search(r'name="csrf_token"[^>]*value="([^"]+)"', browser.get(path).text)[1]


def text_of(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


def table(page: Element, caption: str = "") -> list[list[str]]:
    """Return the texts of the cells of a page's table, row by row."""
    [match] = [t for t in page.iter("table") if caption in text_of(t.find("caption"))]
    return [[text_of(cell) for cell in row] for row in match.find("tbody").findall("tr")]


@pytest.fixture
def decide(app, operator, applications, take):
    """Store decisions on the first applications and return their numbers."""

    def store(count):
        with app.app_context():
            return [take(a, operator=operator).id for a in applications[:count]]

    return store


@pytest.mark.parametrize("kind", ["granted", "refused"])
def test_show_has_every_fact_and_field(
    send, signed_in, read_page, query, bundle, product, request, kind
):
    application = request.getfixturevalue(kind)
    before = now()
    answer = signed_in.get(send(application).location)
    after = now()
    assert answer.status_code == 200
    page = read_page(answer.text)
    score = bundle.scorer.score(application)
    [(stored, chosen)] = query("SELECT probability, decision FROM decisions")
    assert stored == score.probability
    assert chosen == kind
    text = " ".join("".join(page.itertext()).split())
    assert kind.capitalize() in text
    assert {"granted": "Refused", "refused": "Granted"}[kind] not in text
    assert f"{score.probability * 100:.1f}%" in text
    assert f"{bundle.threshold * 100:.1f}%" in text
    assert "clerk" in text
    assert bundle.version in text
    assert product.label.en in text
    for time in page.iter("time"):
        assert before <= datetime.fromisoformat(time.get("datetime")) <= after
    answers, rows = dict(table(page, ENTERED)), dict(table(page, SEEN))
    for field in product.inputs:
        entered, normalised = answers.pop(field.label.en), rows.pop(field.label.en)
        value = application[field.name]
        if value is None:
            expected = "not given"
        elif field.kind == "flag":
            expected = "Yes" if value else "No"
        elif field.kind == "choice":
            expected = next(c.label.en for c in field.choices if c.value == value)
        else:
            expected = f"{format_integer(value, 'en')} {field.unit_of(value).en}"
        assert entered == expected
        seen = score.normalised[field.name]
        places = " ".join(map(str, seen)) if isinstance(seen, list) else f"{seen:.3f}"
        assert normalised.replace("\N{MINUS SIGN}", "-").replace("-0.000", "0.000") == (
            places.replace("-0.000", "0.000")
        )
    for ratio in product.ratios:
        name = next(name for name in rows if name.startswith(ratio.label.en))
        shown = rows.pop(name).replace("\N{MINUS SIGN}", "-")
        assert float(shown) == pytest.approx(score.normalised[ratio.name], abs=6e-4)
    assert not rows
    assert list(answers) == ["Instalment without interest (computed)", "Loan to price (computed)"]


@ON_ONE
@pytest.mark.parametrize(
    ("years", "english", "french"), [(0, "0 years", "0 an"), (1, "1 year", "1 an")]
)
def test_show_unit_of_zero_and_one(
    send, signed_in, read_page, granted, product, years, english, french
):
    location = send({**granted, "years_in_job": years}).location
    label = product.by_name["years_in_job"].label
    for language, expected in (("en", english), ("fr", french)):
        page = read_page(signed_in.get(location, headers={"Accept-Language": language}).text)
        entered = page.find(".//section[@id='entered']").find(".//tbody")
        rows = dict([text_of(cell) for cell in row] for row in entered.findall("tr"))
        shown = rows[label.in_language(language)]
        assert shown == expected


@ON_ONE
def test_show_in_french(send, signed_in, granted, product):
    location = send(granted).location
    text = signed_in.get(location, headers={"Accept-Language": "fr"}).text
    amount = format_integer(granted["loan_amount"], "fr")
    assert '<html lang="fr">' in text
    assert product.by_name["loan_amount"].label.fr in text
    assert amount in text
    assert re.search(r"\d,\d{3}<", text)


@ON_ONE
def test_show_time_in_the_configured_zone(send, signed_in, granted, query, read_page):
    location = send(granted).location
    page = read_page(signed_in.get(location).text)
    time, _ = page.iter("time")  # the other one is in the history
    moment = datetime.fromisoformat(time.get("datetime"))
    assert moment.utcoffset() == UTC.utcoffset(None)
    assert f"{moment.astimezone(ZoneInfo('Europe/Paris')):%H:%M:%S}" in time.text


def test_show_unknown_number(signed_in):
    for number in (0, 1, MAX_ID, MAX_ID + 1, "9" * 400, "-1", "1.0", "x", "١"):
        answer = signed_in.get(f"/decisions/{number}")
        assert answer.status_code == 404, number
        assert answer.mimetype == "text/html"


@ON_ONE
def test_show_not_signed_in(client, send, granted):
    location = send(granted).location
    client.delete_cookie("session")
    answer = client.get(location)
    assert answer.status_code == 302
    assert answer.location == f"/login?next={location}"


@ON_ONE
def test_show_reference(app, operator, take, granted, signed_in, read_page):
    with app.app_context():
        numbers = [take(granted, operator=operator, reference=r).id for r in ("LN/7 #2", None)]
    texts = ["".join(read_page(signed_in.get(f"/decisions/{n}").text).itertext()) for n in numbers]
    assert "LN/7 #2" in texts[0]
    assert ["Reference" in text for text in texts] == [True, False]


@pytest.fixture
def erased(decide, query):
    """The number of a decision whose contents are erased."""
    [number] = decide(1)
    query(f"DELETE FROM decision_contents WHERE decision_id = {number}")
    return number


@ON_ONE
def test_show_erased(signed_in, erased, read_page, bundle):
    answer = signed_in.get(f"/decisions/{erased}")
    assert answer.status_code == 200
    text = text_of(read_page(answer.text))
    assert "have been erased" in text
    assert bundle.version in text
    assert (
        "ont été effacés"
        in signed_in.get(f"/decisions/{erased}", headers={"Accept-Language": "fr"}).text
    )
    assert f'href="/decisions/{erased}"' in signed_in.get("/decisions").text
    form = {"csrf_token": token(signed_in, "/decisions"), "loan_amount": "700"}
    assert signed_in.post(f"/decisions/{erased}/trials", data=form).status_code == 404


@ON_ONE
def test_api_erased(client, api_key, erased):
    headers = {"Authorization": f"Bearer {api_key}"}
    body = client.get(f"/api/v1/decisions/{erased}", headers=headers).json
    assert (body["id"], body["features"], body["reasons"]) == (erased, None, None)
    answer = client.get(f"/api/v1/decisions/{erased}/reasons", headers=headers)
    assert (answer.status_code, answer.mimetype) == (410, "application/problem+json")


@ON_ONE
def test_replay_and_challenger_leave_out_what_is_erased(app, erased, decide):
    decide(2)
    done = app.test_cli_runner().invoke(args=["replay"])
    assert (done.exit_code, done.stdout) == (0, "3 decisions: 2 match, 0 do not, 1 erased\n")
    with app.app_context():
        assert Challenger("svc_rbf").score_pending() == 2
