"""Tests of the history of a decision: who did what and when, oldest first."""

import pytest

from ml.bundle.decide import decide as judge
from ml.product.texts import LANGUAGES
from tests.fixtures.desk import token
from webapp.decisions import service
from webapp.ledger.transaction import unit_of_work
from webapp.serving.served import model


def text_of(element):
    return " ".join("".join(element.itertext()).split())


@pytest.fixture
def shown(signed_in, read_page):
    """Return the lines of the history on the page of a decision, without their moments."""

    def read(number, language="en"):
        answer = signed_in.get(f"/decisions/{number}", headers={"Accept-Language": language})
        items = read_page(answer.text).findall(".//section[@id='history']//li")
        moments = [item.find(".//time").get("datetime") for item in items]
        assert moments == sorted(moments)
        return [text_of(item).partition(" · ")[2] for item in items]

    return read


@pytest.fixture
def full(app, granted, operator, signed_in, decide_all):
    """The number of a granted loan with a trial, and an outcome that was corrected."""
    [number] = decide_all([granted])
    with app.app_context(), unit_of_work() as transaction:
        verdict = judge(model.bundle, granted)
        service.add_trial(transaction, number, granted, verdict, operator=operator)
    for values in ({"outcome": "good"}, {"outcome": "bad", "reason": "dispute"}):
        form = {"csrf_token": token(signed_in, "/decisions"), **values}
        day = signed_in.get(f"/decisions/{number}").text.partition('max="')[2][:10]
        answer = signed_in.post(f"/decisions/{number}/outcome", data={**form, "date": day})
        assert answer.status_code == 303
    return number


EVENTS = {
    "en": (
        "clerk Decided: granted",
        "clerk What-if tried · the model would grant (",
        "clerk Outcome recorded · Good: repaid as agreed",
        "clerk Outcome corrected · Bad: not repaid as agreed",
        "system Contents erased",
    ),
    "fr": (
        "clerk Décision : accordé",
        "clerk Simulation · le modèle accorderait (",
        "clerk Issue enregistrée · Bonne : remboursé comme convenu",
        "clerk Issue corrigée · Mauvaise : non remboursé comme convenu",
        "system Contenu effacé",
    ),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_history_tells_of_every_event_in_order(app, full, shown, language):
    expected = EVENTS[language]
    for line, begin in zip(shown(full, language), expected[:-1], strict=True):
        assert line.startswith(begin)
    erase = ["erase", "--decision", str(full)]
    assert app.test_cli_runner().invoke(args=erase).exit_code == 0
    for line, begin in zip(shown(full, language), expected, strict=True):
        assert line.startswith(begin)


def test_history_is_of_this_decision_only(full, shown, decide_all, refused):
    [other] = decide_all([refused])
    assert shown(other) == ["clerk Decided: refused"]
    assert len(shown(full)) == 4
