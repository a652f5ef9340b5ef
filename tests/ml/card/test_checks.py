"""What ml/card/checks.py promises."""

import pytest

from ml.bundle.facts import Effort, Omission
from ml.card.card import model_card
from ml.card.checks import SENTENCES, checks, shortcomings
from ml.evaluation.reports import Bound, Curve, Estimate, Judged, NoveltyWorth
from ml.product.texts import LANGUAGES, Text

DEBT = Text(en="Debt", fr="Dettes")


@pytest.fixture(scope="module")
def card(bundle):
    return model_card(bundle)


def changed(card, language="en", **change):
    """What a card says that has other findings, and did not say before."""
    before = checks(card, language)
    return [s for s in checks(card.model_copy(update=change), language) if s not in before]


@pytest.mark.parametrize("language", LANGUAGES)
def test_checks_say_what_was_found_of_the_model(card, bundle, language):
    said = checks(card, language)
    # The choice, the directions, the curves, three answers left out, reasons, novelty.
    assert len(said) == 8
    assert all("{" not in sentence for sentence in said)
    for omission in bundle.manifest.omissions:
        [sentence] = [s for s in said if omission.label.in_language(language) in s.split(",")[0]][
            :1
        ]
        assert sentence
    words = " ".join(said)
    for curve in card.curves:
        assert curve.label.in_language(language) in words
    assert f"{card.novelty.marked.n} " in words
    assert f"{card.stability.refused} " in words
    assert set(SENTENCES["blind"].in_language(language).split()[:9]) <= set(words.split())


@pytest.mark.parametrize(("granted", "warns", "share"), [(5, False, "5.0%"), (6, True, "6.0%")])
def test_checks_list_each_optional_answer_and_warn_above_the_limit(card, granted, warns, share):
    omission = Omission(field="debt", label=DEBT, refused=100, granted=granted)
    [said] = changed(card, omissions=(omission,))
    assert said.startswith(
        f"Debt left out: {granted} of the 100 refused rows that have it would be granted without "
        f"it ({share})."
    )
    assert ("more than 5.0%: make the field required" in said) is warns
    [french] = changed(card, "fr", omissions=(omission,))
    assert french.startswith("Dettes sans réponse\u00a0: sur les 100 lignes refusées")
    assert ("C’est plus de 5,0\u202f%" in french or "C’est plus de 5,0\u00a0%" in french) is warns


def test_checks_list_each_curve_that_runs_against_its_direction(card):
    curves = (
        Curve(field="a", label=Text(en="Income", fr="Revenu"), stated="up", against=(), fall=0.0),
        Curve(field="b", label=DEBT, stated="down", against=((0, 10), (1500, 2000)), fall=0.0123),
    )
    kept, against = changed(card, curves=curves)
    assert kept.endswith("stated for it: Income.")
    assert against == (
        "Debt runs against its stated direction from 0 to 10, 1,500 to 2,000: the probability "
        "moves the other way by up to 1.2%."
    )


def test_checks_say_what_keeping_to_the_directions_costs(card):
    bound = Bound(candidate="svc_linear", kept=False, gain=0.0123, error=0.004)
    assert changed(card, bound=(bound,)) == [
        "SVC (linear) does not keep to the directions that the product states: its expected cost "
        "with them, less that without, is 0.0123 (standard error 0.0040).",
        "Looked at in a sample: at most 100 training rows, with at most 100 values of the field.",
    ]
    cheaper = bound.model_copy(update={"kept": True, "gain": -0.0003})
    [kept] = changed(card, bound=(cheaper,))
    assert kept == (
        "SVC (linear) keeps to the directions that the product states: its expected cost with "
        "them, less that without, is −0.0003 (standard error 0.0040)."
    )


def test_checks_say_that_curves_without_bounds_were_looked_at_in_a_sample(card):
    others = tuple(b for b in card.bound if b.candidate != card.champion)
    [sampled] = changed(card, bound=others)
    assert sampled.startswith("Looked at in a sample: at most 100 training rows")
    nothing = card.model_copy(update={"bound": (), "curves": ()})
    assert not any("Looked at" in sentence for sentence in checks(nothing, "en"))


def test_checks_say_on_how_many_rows_settings_were_chosen(card):
    [said] = changed(card, effort=Effort(search_rows=100))
    assert said.startswith("Settings were chosen on at most 100 rows of each training set")
    assert changed(card, effort=Effort(search_rows=card.data.rows)) == []
    assert changed(card, effort=Effort()) == []


@pytest.mark.parametrize(
    ("right", "says"),
    [
        (0.5, "So decisions on marked rows are less accurate."),
        (0.695, "This does not show"),  # its interval ends below 0.8, but reaches that of 0.8
        (0.78, "This does not show"),
    ],
)
def test_checks_say_what_the_mark_is_worth(card, right, says):
    accuracy = Estimate(value=right, low=right - 0.1, high=right + 0.1)
    others = Judged(n=900, accuracy=Estimate(value=0.8, low=0.76, high=0.83))
    worth = NoveltyWorth(marked=Judged(n=100, accuracy=accuracy), others=others)
    [said] = changed(card, novelty=worth)
    assert said.startswith("Unusual applications: 100 of 1,000 training rows are marked so.")
    assert says in said
    assert "in 80.0% of the others (76.0% to 83.0%)." in said


def test_checks_of_a_model_whose_reasons_were_not_measured_and_that_marks_nothing(card):
    nothing = Judged(n=0, accuracy=None)
    worth = NoveltyWorth(marked=nothing, others=card.novelty.others)
    unmeasured, unmarked = changed(card, stability=None, novelty=worth)
    assert "refuses none of the rows that it was trained on" in unmeasured
    [slow] = changed(card, stability=None, scorer="pipeline")
    assert "one explanation of this kind of model takes too long" in slow
    assert unmarked.startswith("Unusual applications: 0 of")


@pytest.mark.parametrize(
    ("cost", "area", "ratio", "found"),
    [
        (0.29, 0.51, 1.0, []),
        (0.30, 0.51, 1.0, ["The expected cost per application, 0.3000, is not below 0.3000"]),
        (0.69, 0.51, 5.0, []),  # granting all costs 1.5, refusing all 0.7
        (0.71, 0.51, 5.0, ["The expected cost per application, 0.7100, is not below 0.7000"]),
        (0.20, 0.49, 1.0, ["The ROC-AUC, 0.4900, is below 0.5, that of chance."]),
        (0.30, 0.49, 1.0, ["The expected cost", "The ROC-AUC"]),
    ],
)
def test_shortcomings(cost, area, ratio, found):
    said = shortcomings(cost=cost, area=area, good=0.7, cost_ratio=ratio, language="en")
    assert len(said) == len(found)
    assert all(s.startswith(f) for s, f in zip(said, found, strict=True))
