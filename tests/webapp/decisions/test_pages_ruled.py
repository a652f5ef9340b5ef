"""Tests of the page of a decision that a policy rule refused, or that a person must make."""

import pytest

from ml.product.texts import LANGUAGES
from webapp.decisions.writing import as_stored
from webapp.ledger.transaction import unit_of_work
from webapp.reviews.service import open_review

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def cause(kind, text, *, then="refer", name=""):
    return {"cause": kind, "name": name, "then": then, "text": {"en": text, "fr": f"{text} (fr)"}}


RULE = cause("rule", "The instalment is too high", then="refuse", name="affordability")
REFERRING_RULE = cause("rule", "Nothing is known of the income", name="income_known")
UNUSUAL, NEAR = cause("unusual", "It is unlike the others"), cause("near_threshold", "It is close")
SWITCH = cause("switch", "Everything is referred")
GRANTED, REFUSED = {"probability": 0.98}, {"probability": 0.03}


def text_of(element):
    return "" if element is None else " ".join("".join(element.itertext()).split())


def items(page, path):
    return [text_of(item) for item in page.findall(f".//{path}/li")]


@pytest.fixture
def show(app, put, signed_in, read_page, bundle, operator):
    """Store a decision, in review if it is said so, and return its page."""

    def read(application, *, language="en", asked="", in_review=False, **columns):
        number = put(application, model=bundle.version, **columns)
        if in_review:
            with app.app_context(), unit_of_work() as transaction:
                open_review(transaction, number, cause="referred", operator=operator)
        headers = {"Accept-Language": language}
        return read_page(signed_in.get(f"/decisions/{number}{asked}", headers=headers).text)

    return read


@pytest.fixture
def reasons(bundle, refused):
    """The model's reasons for refusing an application."""
    return as_stored(bundle.explainer.explain(refused, granted=False).reasons)


@pytest.mark.parametrize("model_says", [GRANTED, REFUSED])
@pytest.mark.parametrize("asked", ["", "?explain=yes"])
def test_policy_refusal_never_has_the_model_reasons_as_reasons(
    show, refused, reasons, model_says, asked
):
    ruled = {"decision": "refused", "basis": "policy", "causes": [RULE, UNUSUAL], **model_says}
    page = show(refused, asked=asked, **ruled)
    assert text_of(page.find(".//h1")) == "✕ Refused"
    assert items(page, "ol[@class='reasons mb-0']") == ["The instalment is too high"]
    assert len([e for e in page.iter("ol") if "reasons" in e.get("class", "")]) == 1
    assert not [tr for tr in page.iter("tr") if tr.get("class") == "principal"]
    text = text_of(page)
    assert "A rule of the bank refuses this application, not the model" in text
    assert "Principal reasons" not in text
    word = "grant" if model_says is GRANTED else "refuse"
    assert f"The model alone would {word} the loan." in text
    assert ("These are not the reasons of the refusal" in text) == bool(asked)
    assert ("Explain what the model says" in text) != bool(asked)
    principal = [r["text"]["en"] for r in reasons if r["principal"]]
    assert asked or not [sentence for sentence in principal if sentence in text]


@pytest.mark.parametrize("language", LANGUAGES)
def test_referral_says_why_and_what_happens_next(show, granted, language):
    page = show(
        granted,
        language=language,
        decision="referred",
        basis="policy",
        causes=[REFERRING_RULE, NEAR],
        in_review=True,
        **GRANTED,
    )
    english = language == "en"
    card = page.find(".//section[@aria-labelledby='verdict']")
    heading = "→ Referred: a person decides" if english else "→ Transmis : une personne décide"
    assert text_of(page.find(".//h1")) == heading
    assert text_of(page.find(".//title")).startswith("Referred · " if english else "Transmis · ")
    assert items(card, "ul") == [c["text"][language] for c in (REFERRING_RULE, NEAR)]
    text = text_of(card)
    assert ("What happens next:" if english else "La suite :") in text
    word = "would grant the loan" if english else "Le modèle seul accorderait le prêt"
    assert word in text
    assert "Granted" not in text_of(page)
    assert page.find(".//section[@id='why']") is None
    assert page.find(".//section[@id='outcome']") is None


@ON_ONE
def test_referral_of_what_the_model_refuses_has_the_model_reasons(show, refused, reasons):
    page = show(
        refused, decision="referred", basis="switch", causes=[SWITCH], reasons=reasons, **REFUSED
    )
    why = page.find(".//section[@id='why']")
    assert text_of(why.find(".//h2")) == "What the model says"
    assert "Principal reasons why the model alone would refuse:" in text_of(why)
    assert "Principal reasons for the refusal" not in text_of(page)
    principal = [r["text"]["en"] for r in reasons if r["principal"]]
    shown = [" ".join(li.text.split()) for li in why.findall(".//ol/li")]
    assert shown == principal


@ON_ONE
@pytest.mark.parametrize(
    ("causes", "expected"),
    [([REFERRING_RULE], True), ([NEAR, UNUSUAL], True), ([UNUSUAL], False), ([SWITCH], False)],
)
def test_referral_suggests_other_values_only_if_they_can_help(show, typical, causes, expected):
    page = show(typical, decision="referred", basis="unusual", causes=causes, **GRANTED)
    heading = text_of(page.find(".//section[@id='trials']//h2"))
    assert heading == ("What would change this decision" if expected else "Try other values")


@ON_ONE
def test_unusual_application_is_said_once(show, typical):
    referred = {"decision": "referred", "basis": "unusual", "causes": [UNUSUAL], **GRANTED}
    for columns, alerts in ((referred, 0), (GRANTED, 1)):
        page = show(typical, novelty=1.5, **columns)
        found = [e for e in page.iter("div") if "alert-warning" in e.get("class", "")]
        assert len(found) == alerts


@ON_ONE
def test_erased_referral_keeps_its_verdict(show, signed_in, read_page, query, granted):
    show(granted, decision="referred", basis="unusual", causes=[UNUSUAL], **GRANTED)
    query("DELETE FROM decision_contents")
    page = read_page(signed_in.get("/decisions/1").text)
    assert text_of(page.find(".//h1")) == "→ Referred"
    assert "Referred to a person because" not in text_of(page)
    assert "The model alone would grant the loan." in text_of(page)
