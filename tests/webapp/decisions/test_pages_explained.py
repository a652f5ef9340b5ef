"""Tests of the decision page: reasons, suggested changes, and decisions of a missing model."""

from xml.etree.ElementTree import Element

import pytest

from ml.explaining.reasons import Reason
from ml.product.texts import LANGUAGES
from webapp.decisions.factors import MIN_SHOWN_SHARE

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
MIDDLE, WIDTH = 100, 200  # of the chart of shares
SVG = "{http://www.w3.org/2000/svg}"
MINUS = "\N{MINUS SIGN}"
REASONS = [
    {"field": "assets", "share": -4.5, "principal": True, "text": {"en": "So", "fr": "Ainsi"}},
    {"field": "years_in_job", "share": 0.25, "principal": False, "text": {"en": "Not", "fr": "Ni"}},
]


def with_plain_spaces(text: str) -> str:
    """Replace line breaks and no-break spaces, so that texts of pages can be compared."""
    return " ".join(text.split())


def text_of(element: Element) -> str:
    return with_plain_spaces("".join(element.itertext()))


def sentence(element: Element) -> str:
    """Return a reason without the applicant's answers below it."""
    return with_plain_spaces(element.text or "")


def part(page: Element, name: str) -> Element | None:
    return page.find(f".//section[@id='{name}']")


def bars(page: Element) -> list[tuple[str, dict[str, str], str]]:
    """Return the lines of the chart: the text, the bar and the number of each."""
    rows = part(page, "why").findall(".//tbody/tr")
    return [
        (
            with_plain_spaces(row[0].text).strip(),
            dict(row[1].find(f".//{SVG}rect").attrib),
            text_of(row[2]),
        )
        for row in rows
    ]


def principal(page: Element) -> list[str]:
    return [sentence(item) for item in page.findall(".//ol[@class='reasons']/li")]


def as_shown(reasons: list[Reason]) -> list[Reason]:
    """Return reasons in the order of the page: those with almost no weight last."""
    longest = max(abs(r.share) for r in reasons)
    return sorted(
        reasons, key=lambda r: not r.principal and abs(r.share) < MIN_SHOWN_SHARE * longest
    )


def answers(page: Element) -> dict[str, str]:
    """Return the entered values by the labels of their fields."""
    rows = part(page, "entered").find(".//table").findall("./tbody/tr")
    return {text_of(row[0]): text_of(row[1]) for row in rows}


@pytest.mark.parametrize("language", LANGUAGES)
def test_show_why_refused(send, signed_in, read_page, refused, bundle, language):
    location = send(refused).location
    text = signed_in.get(location, headers={"Accept-Language": language}).text
    explained = bundle.explainer.explain(refused, granted=False).reasons
    page = read_page(text)
    shown_texts = principal(page)
    texts = [with_plain_spaces(r.text.in_language(language)) for r in explained]
    assert shown_texts == [text for text, r in zip(texts, explained, strict=True) if r.principal]
    assert 1 <= len(shown_texts) <= 4
    longest = max(abs(r.share) for r in explained)
    shown = bars(page)
    assert len(shown) == len(bundle.product.players)
    in_order = as_shown(explained)
    assert [label for label, _, _ in shown] == [
        with_plain_spaces(r.text.in_language(language)) for r in in_order
    ]
    for reason, (_, bar, number) in zip(in_order, shown, strict=True):
        left, width = float(bar["x"]), float(bar["width"])
        assert 0 <= left <= left + width <= WIDTH
        assert width == pytest.approx(MIDDLE * abs(reason.share) / longest, abs=0.01)
        if reason.share > 0:
            assert (left, bar["class"]) == (MIDDLE, "for")
        else:
            assert left + width == pytest.approx(MIDDLE, abs=0.011)
            assert bar["class"] == "against"
        assert number[0] in f"+{MINUS}"
        assert ("," in number) == (language == "fr")
        read = float(number.replace(MINUS, "-").replace(",", "."))
        assert read == pytest.approx(reason.share, abs=0.005 + 1e-9)
        assert number[0] == "+" or read < 0


@ON_ONE
def test_show_why_granted_when_asked(send, signed_in, read_page, granted, bundle):
    location = send(granted).location
    page = read_page(signed_in.get(location).text)
    assert part(page, "why") is None
    assert not list(page.iter(f"{SVG}rect"))[2:]  # two belong to the scale of the probability
    [link] = [a for a in page.iter("a") if text_of(a) == "Explain this decision"]
    explained = read_page(signed_in.get(link.get("href").partition("#")[0]).text)
    assert link.get("href").endswith("#why")
    reasons = bundle.explainer.explain(granted, granted=True).reasons
    assert [label for label, _, _ in bars(explained)] == [r.text.en for r in as_shown(reasons)]
    assert not principal(explained)
    assert not [a for a in explained.iter("a") if text_of(a) == "Explain this decision"]


@ON_ONE
def test_show_bars_of_shares_that_are_all_zero(put, signed_in, read_page, refused):
    nothing = [{**r, "share": 0.0} for r in REASONS]
    page = read_page(signed_in.get(f"/decisions/{put(refused, reasons=nothing)}").text)
    for _, bar, number in bars(page):
        assert (float(bar["x"]), float(bar["width"]), number) == (MIDDLE, 0, "+0.00")


@ON_ONE
def test_show_one_year_and_two_years(put, signed_in, read_page, refused):
    for years, english, french in ((1, "1 year", "1 an"), (2, "2 years", "2 ans")):
        number = put(refused | {"years_in_job": years})
        for language, words in (("en", english), ("fr", french)):
            headers = {"Accept-Language": language}
            page = read_page(signed_in.get(f"/decisions/{number}", headers=headers).text)
            assert words in answers(page).values()


@ON_ONE
def test_show_focuses_the_verdict_only_after_a_new_decision(send, signed_in, read_page, refused):
    location = send(refused).location
    for came_from, focused in (("/applications/new", ["verdict"]), ("/decisions", []), ("", [])):
        headers = {"Referer": f"http://localhost{came_from}"} if came_from else {}
        answer = signed_in.get(location, headers=headers)
        page = read_page(answer.text)
        assert [e.get("id") for e in page.iter() if "autofocus" in e.attrib] == focused
        assert ("/static/decision." in answer.text) == bool(focused)
        [heading] = page.iter("h1")
        assert (heading.get("id"), heading.get("tabindex")) == ("verdict", "-1")
        assert text_of(heading) == "✕ Refused"
        number = location.rpartition("/")[2]
        assert page.find(".//title").text == f"Refused · decision {number} · Loan Desk"


@ON_ONE
def test_show_granted_suggests_no_change(send, signed_in, read_page, granted):
    page = read_page(signed_in.get(send(granted).location).text)
    trials = part(page, "trials")
    assert text_of(trials.find(".//h2")) == "Try other values"
    assert not trials.findall(".//li")


@ON_ONE
def test_show_out_of_range(put, signed_in, read_page, typical):
    for novelty in (1.5, 1.0, 0.0):
        page = read_page(signed_in.get(f"/decisions/{put(typical, novelty=novelty)}").text)
        notes = [text_of(e) for e in page.iter() if e.get("role") == "note"]
        assert ["refer to a credit officer" in note for note in notes] == [True] * (novelty > 1)


@pytest.mark.parametrize("kept", [True, False])
def test_show_of_a_missing_model(put, signed_in, read_page, refused, product, kept):
    number = put(refused, **({"reasons": REASONS} if kept else {}))
    answer = signed_in.get(f"/decisions/{number}")
    assert answer.status_code == 200
    page = read_page(answer.text)
    if kept:
        assert [(label, number) for label, _, number in bars(page)] == [
            ("So", f"{MINUS}4.50"),
            ("Not", "+0.25"),
        ]
        assert principal(page) == ["So"]
    else:
        assert "no longer available, and its reasons were not stored" in text_of(part(page, "why"))
    assert part(page, "trials") is None
    assert product.by_name["loan_amount"].label.en in answers(page)


@ON_ONE
def test_show_granted_of_a_missing_model(put, signed_in, read_page, granted):
    number = put(granted, probability=0.75)
    for asked in ("", "?explain=yes"):
        answer = signed_in.get(f"/decisions/{number}{asked}")
        assert answer.status_code == 200
        page = read_page(answer.text)
        assert part(page, "trials") is None
        assert (part(page, "why") is None) == (not asked)


def test_show_of_a_product_no_longer_served(put, signed_in, read_page, refused):
    unknown = next(name for name, value in refused.items() if value is None)
    number = put(refused, product="yacht_loan", reasons=REASONS)
    answer = signed_in.get(f"/decisions/{number}")
    assert answer.status_code == 200
    page = read_page(answer.text)
    rows = answers(page)
    assert list(rows) == list(refused)
    assert rows["loan_amount"] == str(refused["loan_amount"])
    assert rows[unknown] == "not given"
    assert "yacht_loan" in text_of(page)
    assert [label for label, _, _ in bars(page)] == ["So", "Not"]
    assert part(page, "trials") is None
    assert signed_in.get("/decisions").status_code == 200
