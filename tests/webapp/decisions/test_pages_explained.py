"""The page of a decision: why it fell so, what would have changed it, what if its model is gone."""

from xml.etree.ElementTree import Element

import pytest

from ml.explaining.counterfactual import nearest_granted
from ml.product.formats import format_integer
from ml.product.texts import LANGUAGES

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
MIDDLE, WIDTH = 100, 200  # of the chart of shares
SVG = "{http://www.w3.org/2000/svg}"
MINUS = "\N{MINUS SIGN}"
REASONS = [
    {"field": "assets", "share": -4.5, "principal": True, "text": {"en": "So", "fr": "Ainsi"}},
    {"field": "years_in_job", "share": 0.25, "principal": False, "text": {"en": "Not", "fr": "Ni"}},
]


def said(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


def part(page: Element, name: str) -> Element | None:
    return page.find(f".//section[@id='{name}']")


def bars(page: Element) -> list[tuple[str, dict[str, str], str]]:
    """Return the lines of the chart: their words, their bars and their numbers."""
    rows = part(page, "why").findall(".//tbody/tr")
    return [(said(row[0]), dict(row[1].find(f".//{SVG}rect").attrib), said(row[2])) for row in rows]


def principal(page: Element) -> list[str]:
    return [said(item) for item in page.findall(".//ol[@class='reasons']/li")]


def answers(page: Element) -> dict[str, str]:
    """Return what was entered, by the names of the fields."""
    rows = page.findall(".//table")[-1].findall("./tbody/tr")
    return {said(row[0]): said(row[1]) for row in rows}


@pytest.mark.parametrize("language", LANGUAGES)
def test_show_why_refused(send, signed_in, read_page, refused, bundle, language):
    location = send(refused).location
    text = signed_in.get(location, headers={"Accept-Language": language}).text
    explained = bundle.explainer.explain(refused, granted=False).reasons
    page = read_page(text)
    told = principal(page)
    assert told == [r.text.in_language(language) for r in explained if r.principal]
    assert 1 <= len(told) <= 4
    longest = max(abs(r.share) for r in explained)
    shown = bars(page)
    assert len(shown) == len(bundle.product.players)
    for reason, (words, bar, number) in zip(explained, shown, strict=True):
        assert words == reason.text.in_language(language)
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
    assert not list(page.iter(f"{SVG}rect"))[2:]  # those of the probability's scale alone
    [link] = [a for a in page.iter("a") if said(a) == "Explain this decision"]
    explained = read_page(signed_in.get(link.get("href").partition("#")[0]).text)
    assert link.get("href").endswith("#why")
    reasons = bundle.explainer.explain(granted, granted=True).reasons
    assert [words for words, _, _ in bars(explained)] == [r.text.en for r in reasons]
    assert not principal(explained)
    assert not [a for a in explained.iter("a") if said(a) == "Explain this decision"]


@ON_ONE
def test_show_bars_of_shares_that_are_all_zero(put, signed_in, read_page, refused):
    nothing = [{**r, "share": 0.0} for r in REASONS]
    page = read_page(signed_in.get(f"/decisions/{put(refused, reasons=nothing)}").text)
    for _, bar, number in bars(page):
        assert (float(bar["x"]), float(bar["width"]), number) == (MIDDLE, 0, "+0.00")


@ON_ONE
@pytest.mark.parametrize("language", LANGUAGES)
def test_show_what_would_change_it(
    send, signed_in, read_page, applications, bundle, product, language
):
    words = {
        "en": (
            "{}: granted with {} instead of {} (probability {}%)",
            "{}: none found from {} to {}",
        ),
        "fr": (
            "{} : accordé avec {} au lieu de {} (probabilité {} %)",
            "{} : rien trouvé de {} à {}",
        ),
    }[language]

    def amount(field, value):
        return f"{format_integer(value, language)} {field.unit_of(value).in_language(language)}"

    kinds = set()
    for application in applications[:30]:
        if bundle.scorer.score(application).probability >= bundle.threshold:
            continue
        changes = nearest_granted(
            product, bundle.scorer, application, threshold=bundle.threshold, ranges=bundle.ranges
        )
        expected = []
        for c in changes:
            field = product.by_name[c.field]
            label = field.label.in_language(language)
            kinds.add((c.value is not None, c.searched is not None))
            if c.value is not None:
                p = f"{c.probability:.1%}".rstrip("%").replace(
                    ".", "," if language == "fr" else "."
                )
                asked = amount(field, application[c.field])
                expected.append(words[0].format(label, amount(field, c.value), asked, p))
            elif c.searched:
                low, high = c.searched
                expected.append(
                    words[1].format(label, format_integer(low, language), amount(field, high))
                )
        headers = {"Accept-Language": language}
        page = read_page(signed_in.get(send(application).location, headers=headers).text)
        lines = [said(item) for item in part(page, "trials").findall(".//ul/li")]
        assert lines == [" ".join(line.split()) for line in expected]
    assert kinds == {(True, True), (False, True), (False, False)}


@ON_ONE
def test_show_leads_on_to_the_next_application(send, signed_in, read_page, refused):
    page = read_page(signed_in.get(send(refused).location).text)
    [focus] = [e for e in page.iter() if "autofocus" in e.attrib]
    assert focus.get("href") == "/applications/new"


@ON_ONE
def test_show_granted_says_nothing_of_a_change(send, signed_in, read_page, granted):
    page = read_page(signed_in.get(send(granted).location).text)
    trials = part(page, "trials")
    assert said(trials.find(".//h2")) == "Other values"
    assert not trials.findall(".//li")


@ON_ONE
def test_show_out_of_range(put, signed_in, read_page, typical):
    for novelty in (1.5, 1.0, 0.0):
        page = read_page(signed_in.get(f"/decisions/{put(typical, novelty=novelty)}").text)
        notes = [said(e) for e in page.iter() if e.get("role") == "note"]
        assert ["have a person look" in note for note in notes] == [True] * (novelty > 1)


@pytest.mark.parametrize("kept", [True, False])
def test_show_by_a_model_that_is_gone(put, signed_in, read_page, refused, product, kept):
    number = put(refused, **({"reasons": REASONS} if kept else {}))
    answer = signed_in.get(f"/decisions/{number}")
    assert answer.status_code == 200
    page = read_page(answer.text)
    if kept:
        assert [(words, number) for words, _, number in bars(page)] == [
            ("So", f"{MINUS}4.50"),
            ("Not", "+0.25"),
        ]
        assert principal(page) == ["So"]
    else:
        assert "no longer here, and its reasons were not stored" in said(part(page, "why"))
    assert part(page, "trials") is None
    assert product.by_name["loan_amount"].label.en in answers(page)


@ON_ONE
def test_show_granted_by_a_model_that_is_gone(put, signed_in, read_page, granted):
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
    assert rows[unknown] == "not known"
    assert "yacht_loan" in said(page)
    assert [words for words, _, _ in bars(page)] == ["So", "Not"]
    assert part(page, "trials") is None
    assert signed_in.get("/decisions").status_code == 200
