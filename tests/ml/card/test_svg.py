"""What ml/card/svg.py promises."""

from xml.etree import ElementTree

import pytest

from ml.card.svg import (
    Area,
    element,
    line,
    picture,
    ticks,
    words,
    wrapped,
)


def test_element_names_and_escapes_its_attributes():
    written = element("g", class_="line", stroke_width=1.5, x=3.0, label='"<&>"')
    assert written.startswith('<g class="line" stroke-width="1.5" x="3" ')
    found = ElementTree.fromstring(written)
    assert found.attrib == {"class": "line", "stroke-width": "1.5", "x": "3", "label": '"<&>"'}
    assert ElementTree.fromstring(element("g", element("a"), element("b")))[1].tag == "b"


def test_words_are_written_line_by_line_and_escaped():
    first, second = ElementTree.fromstring(f"<g>{words(['<a> & b', 'c'], (5, 20))}</g>")
    assert (first.text, second.text) == ("<a> & b", "c")
    assert first.get("x") == second.get("x") == "5"
    assert float(second.get("y")) - float(first.get("y")) >= float(first.get("font-size"))


def test_wrapped_loses_no_word_and_starts_no_line_with_a_colon():
    said = "Historique du crédit à la consommation : conforme aux règles ; vu\nà 0,5 : 3 %"
    lines = wrapped(said, 120)
    assert " ".join(lines).replace("\u00a0", " ") == said.replace("\n", " ")
    assert max(map(len, lines)) <= 20
    assert not any(line.startswith((":", ";", "%")) for line in lines)
    assert "à 0,5\u00a0: 3\u00a0%" in lines  # a line of its own, as it was said


def test_wrapped_breaks_a_word_that_is_too_long():
    lines = wrapped("a" * 50, 120)
    assert "".join(lines) == "a" * 50
    assert len(lines) > 1


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 0.075, [0, 0.02, 0.04, 0.06]),
        (0, 600, [0, 200, 400, 600]),
        (-0.013, 0.19, [0, 0.05, 0.1, 0.15]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 3e6, [0, 1e6, 2e6, 3e6]),
    ],
)
def test_ticks_are_round_and_within(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize("high", [1e-4, 0.0301, 0.999, 1, 7.7, 18, 391, 99_999])
@pytest.mark.parametrize("most", [4, 6])
def test_ticks_are_two_at_the_least_and_no_more_than_asked(high, most):
    assert 2 <= len(ticks(0, high, most=most)) <= most


def test_area_puts_values_where_they_belong():
    area = Area(left=50, top=20, right=250, bottom=120, x=(-1, 1), y=(0, 10))
    assert area.at(-1, 0) == (50, 120)
    assert area.at(1, 10) == (250, 20)
    assert area.at(0, 2.5) == (150, 95)


def test_grid_draws_a_line_at_each_value_and_words_where_there_are_any():
    area = Area(left=0, top=0, right=100, bottom=100)
    found = ElementTree.fromstring(f"<g>{area.grid(x={0: 'none', 1: ''}, y={0.5: 'half'})}</g>")
    assert [e.get("points") for e in found.iter("polyline")] == [
        "0,0 0,100",
        "100,0 100,100",
        "0,50 100,50",
    ]
    assert [e.text for e in found.iter("text")] == ["none", "half"]


def test_picture_says_what_it_shows():
    drawn = picture(
        "roc",
        line([(0, 0), (1, 2.5)], class_="line"),
        title="A & B",
        description="What <it> shows.",
        height=100,
    )
    root = ElementTree.fromstring(drawn)
    space = "{http://www.w3.org/2000/svg}"
    assert root.get("viewBox") == "0 0 480 100"
    assert root.get("role") == "img"
    title, description = root[0], root[1]
    assert (title.tag, title.text) == (f"{space}title", "A & B")
    assert (description.tag, description.text) == (f"{space}desc", "What <it> shows.")
    assert root.get("aria-labelledby") == title.get("id")
    assert root.get("aria-describedby") == description.get("id")
    assert root.find(f"{space}text").text == "A & B"
    assert root.find(f"{space}polyline").get("points") == "0,0 1,2.5"
