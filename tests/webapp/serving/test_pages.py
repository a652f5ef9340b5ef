"""Tests of the model card as a page, as a file and in the API."""

import re
import shutil
from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Decimal

import pytest

from ml.card.card import FIGURES, model_card
from ml.card.checks import checks
from ml.card.pictures import TITLES, describe
from ml.product.files import parse_product
from ml.product.formats import format_integer
from ml.product.texts import LANGUAGES
from ml.training.build import assemble

# The card comes from the bundle, so one kind of database is enough.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
VERDICTS = {
    "en": {
        "reference": "reference",
        "within": "within the limits",
        "outside": "outside the limits",
        "not_assessable": "not assessable",
    },
    "fr": {
        "reference": "référence",
        "within": "dans les limites",
        "outside": "hors des limites",
        "not_assessable": "non évaluable",
    },
}


@pytest.fixture(scope="session")
def card(bundle):
    """The card as JSON."""
    return model_card(bundle).model_dump(mode="json")


@pytest.fixture
def show(signed_in, read_page):
    """Open the page in a language."""

    def get(language="en"):
        answer = signed_in.get("/model", headers={"Accept-Language": language})
        assert answer.status_code == 200
        return read_page(answer.text)

    return get


def text_of(element):
    return " ".join("".join(element.itertext()).split())


def plain(text):
    """Replace every kind of space in a text by a plain one."""
    return " ".join(text.split())


def number(value, language, places):
    rounded = Decimal(str(value)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
    text = f"{rounded:,}"
    return text.replace(",", " ").replace(".", ",") if language == "fr" else text


def percent(share, language):
    return number(100 * Decimal(str(share)), language, 1)


def table(page, caption):
    [match] = [t for t in page.iter("table") if text_of(t.find("caption")) == caption]
    return [[text_of(cell) for cell in row] for row in match.find("tbody").findall("tr")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_show_says_what_the_model_is(show, card, bundle, language):
    words = text_of(show(language))
    assert bundle.version in words
    assert card["data"]["sha256"] in words
    assert card["data"]["file"] in words
    assert plain(format_integer(card["data"]["rows"], language)) in words
    for text in (card["target_meaning"], *card["limits"], card["rule"], card["reason"]):
        assert plain(text[language]) in words
    for name, version in card["versions"].items():
        assert f"{name} {version}" in words
    cost = {
        "en": "· granting one bad loan costs as much as refusing 1 good one Rules of the bank",
        "fr": "· accorder un mauvais prêt coûte autant que refuser 1 bon prêt Règles de la banque",
    }
    assert cost[language] in words
    policy = card["policy"]
    assert policy["version"] in words
    assert [rule["then"] for rule in policy["rules"]] == ["refer", "refer"]
    referred = {
        "en": "Referred to a person unless {}",
        "fr": "Transmission à une personne, sauf si {}",
    }
    for rule in policy["rules"]:
        assert plain(referred[language].format(rule["label"][language])) in words
    band = {"en": "from 48.0% to 52.0%", "fr": "entre 48,0 % et 52,0 %"}
    assert band[language] in words


@pytest.mark.parametrize(
    ("language", "caption"),
    [
        ("en", "Nested cross-validation: mean ± standard deviation over the outer folds."),
        ("fr", "Validation croisée imbriquée : moyenne ± écart type sur les plis extérieurs."),
    ],
)
def test_show_every_candidate(show, card, language, caption):
    rows = table(show(language), caption)
    assert len(rows) == len(card["candidates"]) == 2
    for row, candidate in zip(rows, card["candidates"], strict=True):
        mark = " (champion)" if candidate["name"] == card["champion"] else ""
        assert row[0] == candidate["label"][language] + mark
        for cell, figure in zip(row[1:], FIGURES, strict=True):
            ends = (candidate[figure]["mean"], candidate[figure]["sd"])
            assert cell == " ± ".join(number(v, language, 3) for v in ends)


@pytest.mark.parametrize("language", LANGUAGES)
def test_show_what_was_checked(show, bundle, language):
    shown = [text_of(item) for item in show(language).iter("li")]
    sentences = [plain(sentence) for sentence in checks(model_card(bundle), language)]
    assert len(sentences) > 5
    assert set(sentences) <= set(shown)


@pytest.mark.parametrize("language", LANGUAGES)
def test_show_figures_of_unseen_rows(show, card, language):
    facts = {
        text_of(d.find("dt")): text_of(d.find("dd")) for d in show(language).findall(".//dl/div")
    }
    for name, text in FIGURES.items():
        value = card["evidence"]["figures"][name]
        assert facts[text.in_language(language)] == number(value, language, 3)


@pytest.mark.parametrize(
    ("language", "words"), [("en", "2 rows left out"), ("fr", "2 lignes écartées")]
)
def test_show_how_many_rows_were_left_out(show, card, language, words):
    assert card["data"]["left_out"] == {"home_status": 2}
    assert words in text_of(show(language).find(".//dl"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_show_every_plot_in_its_language_and_both_themes(show, bundle, signed_in, language):
    card = model_card(bundle)
    descriptions = describe(card.evidence, card.importance, language)
    figures = list(show(language).iter("figure"))
    assert [text_of(f.find("figcaption")) for f in figures] == [t[language] for t in titles()]
    for figure, (name, description) in zip(figures, descriptions.items(), strict=True):
        source, img = figure.find("picture/source"), figure.find("picture/img")
        assert img.get("alt") == description
        assert source.get("media") == "(prefers-color-scheme: dark)"
        for address, theme in ((img.get("src"), "light"), (source.get("srcset"), "dark")):
            answer = signed_in.get(address)
            assert answer.data == bundle.file(f"plots/{name}.{language}.{theme}.svg")
            assert answer.mimetype == "image/svg+xml"


def titles():
    return [title.model_dump() for title in TITLES.values()]


@pytest.mark.parametrize("language", LANGUAGES)
def test_show_keeps_to_the_policy(signed_in, language):
    text = signed_in.get("/model", headers={"Accept-Language": language}).text
    assert not re.search(r"<[^>]+\s(style|on\w+)=|<style|<script>|javascript:", text)
    assert not re.search(r"""(src|href|action|url\()=?["']?(https?:)?//""", text)
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("language", LANGUAGES)
def test_show_what_other_thresholds_would_do(show, card, language):
    caption = {
        "en": "What other thresholds would grant and lose",
        "fr": "Ce que d’autres seuils accorderaient et perdraient",
    }[language]
    page = show(language)
    rows = table(page, caption)
    assert len(rows) == len(card["evidence"]["thresholds"]) > 3
    sign = " %" if language == "fr" else "%"
    for row, stated in zip(rows, card["evidence"]["thresholds"], strict=True):
        shares = [stated[name] for name in ("threshold", "grant_rate", "bad_rate")]
        shown = ["–" if v is None else percent(v, language) + sign for v in shares]
        assert row[0].startswith(shown[0])
        assert ("(" in row[0]) == stated["used"]
        assert (row[2], row[4]) == (shown[1], shown[2])
        counts = [stated[name] for name in ("granted", "bad_granted", "good_refused")]
        assert [row[1], row[3], row[5]] == [
            plain(format_integer(count, language)) for count in counts
        ]
        cost = float(row[6].replace(" ", "").replace(",", "." if language == "fr" else ""))
        assert cost == pytest.approx(stated["cost_per_1000"], abs=0.005)
    assert [r.get("aria-current") for r in page.iter("tr")].count("true") == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_show_every_group_of_the_audit(show, card, language):
    page = show(language)
    attributes = card["fairness"]["attributes"]
    assert len(attributes) == 2
    verdicts = set()
    for attribute in attributes:
        rows = table(page, attribute["label"][language])
        assert len(rows) == len(attribute["groups"])
        for row, group in zip(rows, attribute["groups"], strict=True):
            assert row[0] == group["label"][language]
            assert row[1] == plain(format_integer(group["n"], language))
            assert row[-1] == VERDICTS[language][group["verdict"]]
            verdicts.add(group["verdict"])
            rate = group["grant_rate"]
            if rate is None:
                assert (row[3], row[4], row[-2]) == ("–", "–", "–")
            else:
                ends = (rate["value"], rate["low"], rate["high"])
                shown = [percent(v, language) for v in ends]
                assert re.findall(r"[\d.,]+", row[4]) == shown
                assert row[3].startswith(percent(group["predicted"], language))
                wrong = {"en": "not calibrated", "fr": "non calibré"}[language]
                assert (wrong in row[3]) == ("calibration" in group["findings"])
    assert verdicts == set(VERDICTS[language])


def test_show_without_protected_fields(restart, sign_in, trained, origin, tmp_path, read_page):
    text = origin.definition.decode()
    text = text[: text.index('[[fields]]\nname = "protected_age"')]
    text = re.sub(r"limits = \[.*?^\]\n|\[target_meaning\].*?\n\n", "", text, flags=re.M | re.S)
    product = parse_product(text, source="bare")
    assert (product.protected, product.limits, product.target_meaning) == ((), (), None)
    without = replace(origin.rows, protected=origin.rows.protected[[]])
    bare = replace(origin, definition=text.encode(), rows=without)
    own = assemble(tmp_path / "bare", product, trained, bare)
    answer = sign_in(restart(own.directory)).get("/model")
    assert answer.status_code == 200
    words = text_of(read_page(answer.text))
    assert "The data have no protected attributes, so no groups could be compared." in words
    assert "None" not in words


def test_download_is_the_card(signed_in, card):
    answer = signed_in.get("/model/card.json")
    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    assert answer.json == card
    [link] = re.findall(r'<a href="(/model/card\.json)" download', signed_in.get("/model").text)
    assert link


def test_api_card(client, api_key, card, bundle):
    headers = {"Authorization": f"Bearer {api_key}"}
    for version in ("current", bundle.version):
        answer = client.get(f"/api/v1/models/{version}", headers=headers)
        assert answer.status_code == 200
        assert answer.content_type == "application/json"
        assert answer.json == card
        assert list(answer.json) == list(card)
        assert answer.json["version"] == bundle.version


def test_api_card_unknown_version(client, api_key, bundle):
    headers = {"Authorization": f"Bearer {api_key}"}
    for version in ("x", f"{bundle.version}0", "Current", "..", "%2e%2e", "a/b", "%00", "x" * 5000):
        answer = client.get(f"/api/v1/models/{version}", headers=headers)
        assert answer.status_code == 404, version
        assert answer.content_type == "application/problem+json"


def test_api_card_of_a_past_model(restart, api_key, tmp_path, bundle, another_bundle, card):
    for name, one in (("old", bundle), ("new", another_bundle)):
        shutil.copytree(one.directory, tmp_path / name)
    desk = restart(tmp_path / "new")
    headers = {"Authorization": f"Bearer {api_key}"}
    current = desk.get("/api/v1/models/current", headers=headers).json
    assert current == model_card(another_bundle).model_dump(mode="json")
    assert desk.get(f"/api/v1/models/{bundle.version}", headers=headers).json == card
