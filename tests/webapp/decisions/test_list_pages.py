"""The list of decisions."""

from xml.etree.ElementTree import Element

import pytest

from ml.product.formats import format_integer
from tests.fixtures.databases import PASSWORD, add_user
from webapp.columns import MAX_ID
from webapp.decisions.search import PAGE

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
DECISIONS = 60


def text_of(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


def table(page: Element) -> list[list[str]]:
    """Return the texts of the cells of the list, row by row."""
    [body] = page.iter("tbody")
    return [[text_of(cell) for cell in row] for row in body.findall("tr")]


@pytest.fixture
def decide(app, operator, applications, take):
    """Store decisions on the first applications and return their numbers."""

    def store(count):
        with app.app_context():
            return [take(a, operator=operator).id for a in applications[:count]]

    return store


@ON_ONE
def test_index_empty(signed_in):
    answer = signed_in.get("/decisions")
    assert answer.status_code == 200
    assert "/applications/new" in answer.text
    assert "<table" not in answer.text


def test_index_pages_to_older_and_newer(signed_in, decide, read_page):
    first = decide(DECISIONS)

    def turn(address, towards):
        answer = signed_in.get(address)
        assert answer.status_code == 200
        page = read_page(answer.text)
        numbers = [int(row[0].replace(",", "")) for row in table(page)]
        assert len(numbers) <= PAGE
        assert numbers == sorted(numbers, reverse=True)
        links = [a.get("href") for a in page.iter("a") if a.get("rel") == towards]
        return numbers, links[0] if links else None

    seen, address, late, last = [], "/decisions", [], None
    while address:
        last = address
        numbers, address = turn(address, "next")
        seen += numbers
        late += decide(3)  # new decisions between two pages
    assert seen == first[::-1]
    back, address = [], last
    while address:
        numbers, address = turn(address, "prev")
        back = numbers + back
    assert back == sorted(first + late, reverse=True)


def test_index_newest_first_with_all_columns(signed_in, decide, read_page, query, bundle):
    decide(3)
    rows = table(read_page(signed_in.get("/decisions").text))
    stored = query("SELECT id, decision, amount, probability FROM decisions ORDER BY id DESC")
    for row, (number, chosen, amount, probability) in zip(rows, stored, strict=True):
        assert row[0] == str(number)
        assert row[2] == ""
        assert chosen.capitalize() in row[3]
        assert row[4].startswith(format_integer(amount, "en"))
        assert row[5] == f"{probability * 100:.1f}%"
        assert row[6] == "clerk"
        assert row[7] == bundle.version


def test_index_bad_position(signed_in, decide):
    decide(1)
    for text in ("", "x", "-1", "1.5", str(MAX_ID + 1), "9" * 400, "١", "1 ", "0x1", "\x00"):
        for name in ("before", "after"):
            answer = signed_in.get("/decisions", query_string={name: text})
            assert answer.status_code == 400, text
            assert answer.mimetype == "text/html"
    for name in ("before", "after"):
        for text in ("0", "1", str(MAX_ID)):
            assert signed_in.get("/decisions", query_string={name: text}).status_code == 200


def links(page: Element, rel: str) -> list[str]:
    return [a.get("href") for a in page.iter("a") if a.get("rel") == rel]


@ON_ONE
def test_index_keeps_the_filter_on_its_pages(signed_in, put, granted, read_page):
    numbers = [put(granted, amount=1_000 + i, reference="LN #1") for i in range(PAGE + 5)]
    address = "/decisions?search=LN+%231&amount_from=1%2C002&sort=amount_low&unknown=1"
    page = read_page(signed_in.get(address).text)
    assert [int(row[0]) for row in table(page)] == numbers[2 : PAGE + 2]
    [following] = links(page, "next")
    assert "unknown" not in following
    rest = read_page(signed_in.get(following).text)
    assert [int(row[0]) for row in table(rest)] == numbers[PAGE + 2 :]
    [back] = links(rest, "prev")
    assert table(read_page(signed_in.get(back).text)) == table(page)


@ON_ONE
def test_index_says_which_filters_are_on(signed_in, put, granted, read_page):
    put(granted, amount=1_000, novelty=2)
    given = {
        "search": "LN",
        "from": "2026-01-02",
        "decision": "refused",
        "reviewed": "no",
        "channel": "desk",
        "operator": "clerk",
        "mine": "yes",
        "model": "m-1",
        "amount_to": "12,000",
        "probability_from": "5.5",
        "probability_to": "50",
        "novelty": "unusual",
    }
    page = read_page(signed_in.get("/decisions", query_string=given).text)
    [chips] = [e for e in page.iter("ul") if e.get("class") == "chips mb-3"]
    assert [text_of(chip).removesuffix(" ✕") for chip in chips] == [
        *("Reference: LN", "Refused", "Never in review", "At the desk", "Decided by: clerk"),
        *("Decided by me", "Model: m-1", "Unusual applications", "Decided from 2 Jan 2026"),
        *("Amount up to 12,000", "Probability from 5.5% to 50.0%"),
    ]
    without = [chip.find("a").get("href") for chip in chips]
    assert "search" not in without[0]
    assert "probability" not in without[-1]
    assert "search=LN" in without[-1]
    assert "No decision is like this." in text_of(page)
    values = {e.get("name"): e.get("value") for e in page.iter("input")}
    assert values["amount_to"] == "12,000"


def test_index_wrong_filter(signed_in, put, granted, read_page):
    put(granted)
    for name, text in (
        *(("from", "x"), ("from", "2026-02-30"), ("to", "0001-01-01"), ("to", "9999-12-31")),
        *(("amount_from", "1.5"), ("amount_to", "-1"), ("amount_to", "9" * 40)),
        *(("probability_from", "x"), ("probability_to", "101"), ("probability_to", "-1")),
        *(("probability_to", "nan"), ("probability_to", "1e3"), ("probability_from", "٥")),
        *(("decision", "x"), ("channel", "x"), ("novelty", "x"), ("sort", "x"), ("mine", "x")),
        *(("reviewed", "x"), ("operator", "x" * 65), ("model", "a\0b"), ("search", "a\0b")),
        ("search", "x" * 65),
    ):
        answer = signed_in.get("/decisions", query_string={name: text})
        assert answer.status_code == 422, (name, text)
        page = read_page(answer.text)
        [wrong] = [e for e in page.iter() if e.get("aria-invalid") == "true"]
        assert wrong.get("name") == name
        assert not list(page.iter("table"))
    for low, high in (("from", "to"), ("amount_from", "amount_to")):
        first, last = ("2026-01-02", "2026-01-01") if low == "from" else ("2", "1")
        answer = signed_in.get("/decisions", query_string={low: first, high: last})
        assert answer.status_code == 422
        assert f'id="{high}-error"' in answer.text


def test_index_of_values_at_their_limits(signed_in, put, granted):
    put(granted, amount=1_000)
    for name, text in (
        *(("amount_from", "0"), ("amount_to", "999999999999999999"), ("amount_from", "1 000")),
        *(("probability_from", "0"), ("probability_to", "100"), ("probability_to", "99,95 %")),
        *(("from", "0003-01-01"), ("to", "9998-12-31"), ("operator", "nobody"), ("model", "x")),
        *(("search", "%"), ("search", "'"), ("search", "9" * 64), ("search", "é")),
    ):
        for sort in ("newest", "amount_low"):
            answer = signed_in.get("/decisions", query_string={name: text, "sort": sort})
            assert answer.status_code == 200, (name, text)


@ON_ONE
def test_search_of_a_number_opens_the_decision(signed_in, put, granted):
    number = put(granted, id=1_234)
    for text in ("1234", "1,234", "1 234", "#1234", " 1234 "):
        answer = signed_in.get("/decisions", query_string={"search": text})
        assert (answer.status_code, answer.location) == (302, f"/decisions/{number}"), text
    for text in ("1235", "0", "-1234", str(MAX_ID), "9" * 30):
        answer = signed_in.get("/decisions", query_string={"search": text})
        assert answer.status_code == 200, text
        assert "No decision is like this." in answer.text
    put(granted, reference="1234")
    answer = signed_in.get("/decisions", query_string={"search": "1234"})
    assert "There is also:" in answer.text
    assert f'href="/decisions/{number}"' in answer.text


@ON_ONE
def test_index_of_a_clerk(app, client, sign_in, put, granted):
    with app.app_context():
        add_user("anna", PASSWORD, ["clerk"])
    put(granted, id=77, reference="LN/77")
    anna = sign_in(client, "anna")
    for address in ("/decisions", "/decisions?search=LN/77", "/decisions?search=77"):
        answer = anna.get(address)
        assert answer.status_code == 200
        assert "/decisions/77" not in answer.text
        assert 'name="operator"' not in answer.text
        assert "/decisions/export" not in answer.text


@ON_ONE
def test_index_reviewed(signed_in, put, granted, query, read_page):
    numbers = [put(granted) for _ in range(4)]
    columns = "decision_id, opened_at, opened_by, cause, closed_at, closed_by, result, final, code"
    moment, final = "'2026-03-01 12:00:00.000000'", "'granted', 'other'"
    for number, closed in ((numbers[1], False), (numbers[2], True)):
        end = f"{moment}, 1, 'upheld', {final}" if closed else "NULL, NULL, NULL, NULL, NULL"
        query(f"INSERT INTO reviews ({columns}) VALUES ({number}, {moment}, 1, 'staff', {end})")

    def found(chosen):
        page = read_page(signed_in.get(f"/decisions?reviewed={chosen}").text)
        return [int(row[0]) for row in table(page)]

    assert found("open") == [numbers[1]]
    assert found("yes") == [numbers[2]]
    assert found("no") == [numbers[3], numbers[0]]


@ON_ONE
def test_index_in_french(signed_in, put, granted):
    put(granted, amount=12_345, novelty=2)
    page = signed_in.get("/decisions?amount_from=12+000", headers={"Accept-Language": "fr"}).text
    assert "12\u202f345" in page
    assert "Montant à partir de 12\u202f000" in page
    assert "inhabituelle" in page
