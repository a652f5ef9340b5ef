"""The list of decisions."""

from xml.etree.ElementTree import Element

import pytest

from ml.product.formats import format_integer
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
        assert chosen.capitalize() in row[2]
        assert row[3].startswith(format_integer(amount, "en"))
        assert row[4] == f"{probability * 100:.1f}%"
        assert row[5] == "clerk"
        assert row[6] == bundle.version


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
