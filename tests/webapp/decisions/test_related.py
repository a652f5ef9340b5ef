"""Tests of other decisions with the same reference on the page of a decision."""

import pytest

from tests.fixtures.databases import PASSWORD, add_user
from webapp.decisions.related import SHOWN

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def text_of(element):
    return " ".join("".join(element.itertext()).split())


@pytest.fixture
def shown(signed_in, read_page):
    """Return the lines and links of the other decisions, and the note below, in a language."""

    def read(number, language="en", browser=signed_in):
        answer = browser.get(f"/decisions/{number}", headers={"Accept-Language": language})
        section = read_page(answer.text).find(".//section[@id='related']")
        if section is None:
            return [], [], ""
        lines = [text_of(item) for item in section.iter("li")]
        links = [a.get("href") for a in section.iter("a")]
        note = section.find(".//p")
        return lines, links, "" if note is None else text_of(note)

    return read


def test_show_the_newest_decisions_with_the_same_reference(put, refused, granted, shown):
    put(refused, reference="LN/8")
    numbers = [put(refused, reference="LN/7") for _ in range(SHOWN + 1)]
    last = put(granted, reference="LN/7", probability=0.75)
    put(refused)
    lines, links, note = shown(last)
    assert links == [f"/decisions/{number}" for number in numbers[:0:-1]]
    assert all(line.startswith("Decision ") and "Refused" in line for line in lines)
    assert note == "Older ones are not shown."
    lines, links, note = shown(numbers[0], "fr")
    assert links[0] == f"/decisions/{last}"
    assert lines[0].startswith(f"Décision {last} ✓ Accordé ")
    assert note == "Les plus anciennes ne sont pas affichées."


@ON_ONE
def test_show_no_other_decisions_without_the_same_reference(put, refused, shown):
    numbers = [put(refused, reference=reference) for reference in (None, None, "LN/7", "ln/7")]
    assert [shown(number) for number in numbers] == [([], [], "")] * 4


@ON_ONE
def test_show_others_decisions_to_a_clerk_without_links(app, put, refused, shown, sign_in, query):
    with app.app_context():
        add_user("teller", PASSWORD, ["clerk"])
    [(teller,)] = query("SELECT id FROM operators WHERE name = 'teller'")
    others = put(refused, reference="LN/7")
    mine = [put(refused, reference="LN/7", operator_id=teller) for _ in range(2)]
    browser = sign_in(app.test_client(), "teller")
    lines, links, _ = shown(mine[1], browser=browser)
    assert links == [f"/decisions/{mine[0]}"]
    assert lines[1].startswith("Entered by someone else ✕ Refused ")
    assert f" {others} " not in lines[1]


@ON_ONE
def test_show_a_damaged_decision_with_the_same_reference(put, refused, tamper, shown):
    damaged, number = (put(refused, reference="LN/7") for _ in range(2))
    tamper("probability = 7", damaged)
    lines, _, _ = shown(number)
    assert lines == [f"Decision {damaged} Damaged row"]
