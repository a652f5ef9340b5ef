"""Tests of ml/card/checks.py."""

import re

import pytest

from ml.bundle.facts import Effort, Omission
from ml.card.card import model_card
from ml.card.checks import SENTENCES, checks, shortcomings
from ml.evaluation.reports import Bound, Curve, Estimate, Judged, NoveltyWorth
from ml.product.texts import LANGUAGES, Text

DEBT = Text(en="Debt", fr="Dettes")
LOWER_CASE = Text(en="debt", fr="dettes")


@pytest.fixture(scope="module")
def card(bundle):
    return model_card(bundle)


def changed(card, language="en", **change):
    """Return the sentences of a card with changed findings that the original card lacks."""
    before = checks(card, language)
    return [s for s in checks(card.model_copy(update=change), language) if s not in before]


@pytest.mark.parametrize("language", LANGUAGES)
def test_checks_say_what_was_found_of_the_model(card, bundle, language):
    said = checks(card, language)
    # Selection, directions, curves, three omitted answers, stability of reasons, novelty.
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
        f"Without an answer to “Debt”, {granted} of the 100 refused rows that have one would be "
        f"granted ({share})."
    )
    assert ("more than 5.0%. Make the field required" in said) is warns
    [french] = changed(card, "fr", omissions=(omission,))
    assert french.startswith(f"Sans réponse à «\u00a0Dettes\u00a0», {granted} des 100 lignes")
    assert bool(re.search("Cette part dépasse 5,0[\u202f\u00a0]%", french)) is warns


def test_checks_list_each_curve_that_runs_against_its_direction(card):
    curves = (
        Curve(field="a", label=Text(en="Income", fr="Revenu"), stated="up", against=(), fall=0.0),
        Curve(
            field="b", label=LOWER_CASE, stated="down", against=((0, 10), (1500, 2000)), fall=0.0123
        ),
    )
    kept, against = changed(card, curves=curves)
    assert kept.endswith("against the stated direction: Income.")
    assert against == (
        "Debt: between these values, a larger value moves the probability against the stated "
        "direction, by up to 1.2%: 0 to 10, 1,500 to 2,000."
    )


def test_checks_say_what_keeping_to_the_directions_costs(card):
    bound = Bound(candidate="svc_linear", kept=False, gain=0.0123, error=0.004)
    assert changed(card, bound=(bound,)) == [
        "SVC (linear) does not keep to the directions that the product states. Its expected cost "
        "with them, minus that without them, is 0.0123 (standard error 0.0040).",
        "Directions were checked on a sample: at most 100 training rows, with at most 100 values "
        "of each field.",
    ]
    cheaper = bound.model_copy(update={"kept": True, "gain": -0.0003})
    [kept] = changed(card, bound=(cheaper,))
    assert kept == (
        "SVC (linear) keeps to the directions that the product states. Its expected cost with "
        "them, minus that without them, is −0.0003 (standard error 0.0040)."
    )


def test_checks_say_that_curves_without_bounds_were_looked_at_in_a_sample(card):
    others = tuple(b for b in card.bound if b.candidate != card.champion)
    [sampled] = changed(card, bound=others)
    assert sampled.startswith("Directions were checked on a sample: at most 100 training rows")
    nothing = card.model_copy(update={"bound": (), "curves": ()})
    assert not any("on a sample" in sentence for sentence in checks(nothing, "en"))


def test_checks_say_on_how_many_rows_settings_were_chosen(card):
    [said] = changed(card, effort=Effort(search_rows=100))
    assert said.startswith("Settings were chosen on at most 100 rows of each training set")
    assert changed(card, effort=Effort(search_rows=card.data.rows)) == []
    assert changed(card, effort=Effort()) == []


@pytest.mark.parametrize(
    ("right", "says"),
    [
        (0.5, "Decisions on marked rows are therefore less accurate."),
        (0.695, "This does not show"),  # its interval ends below 0.8, but reaches that of 0.8
        (0.78, "This does not show"),
    ],
)
def test_checks_say_what_the_mark_is_worth(card, right, says):
    accuracy = Estimate(value=right, low=right - 0.1, high=right + 0.1)
    others = Judged(n=900, accuracy=Estimate(value=0.8, low=0.76, high=0.83))
    worth = NoveltyWorth(marked=Judged(n=100, accuracy=accuracy), others=others)
    [said] = changed(card, novelty=worth)
    assert said.startswith(
        "Training rows that are marked as unusual applications: 100 of 1,000. The decision is "
    )
    assert says in said
    assert "for 80.0% of the others (76.0% to 83.0%)." in said


NOTHING = Judged(n=0, accuracy=None)
SOME = Judged(n=1000, accuracy=Estimate(value=0.8, low=0.76, high=0.83))


@pytest.mark.parametrize(
    ("worth", "english", "french"),
    [
        (
            NoveltyWorth(marked=NOTHING, others=SOME),
            "None of the 1,000 training rows is marked as an unusual application, so it is not "
            "known how accurate decisions on marked applications are.",
            "Aucune des 1\u202f000 lignes d’apprentissage n’est signalée comme atypique : "
            "l’exactitude des décisions sur les demandes signalées n’est donc pas connue.",
        ),
        (
            NoveltyWorth(marked=SOME, others=NOTHING),
            "All of the 1,000 training rows are marked as unusual applications. The decision is "
            "right for 80.0% of them (76.0% to 83.0%).",
            "Les 1\u202f000 lignes d’apprentissage sont toutes signalées comme atypiques. La "
            "décision est juste pour 80,0 % d’entre elles (76,0 % à 83,0 %).",
        ),
    ],
)
def test_checks_where_no_row_or_every_row_is_marked(card, worth, english, french):
    assert changed(card, novelty=worth) == [english]
    [said] = changed(card, "fr", novelty=worth)
    assert spaced(said) == spaced(french)


def spaced(text):
    return re.sub(r"\s", " ", text)


def test_checks_list_the_fields_with_one_value(card):
    data = card.data.model_copy(update={"constant": ("assets", "home_status")})
    assert changed(card, data=data) == [
        "The model could not learn from these fields, because each has the same value in every "
        "training row: Assets, Housing."
    ]
    [french] = changed(card, "fr", data=data)
    assert spaced(french) == (
        "Le modèle n’a rien pu apprendre de ces champs, car chacun a la même valeur dans toutes "
        "les lignes d’apprentissage : Patrimoine, Logement."
    )


def test_checks_of_a_model_whose_reasons_were_not_measured(card):
    [unmeasured] = changed(card, stability=None)
    assert "refuses none of the rows that it was trained on" in unmeasured
    [slow] = changed(card, stability=None, scorer="pipeline")
    assert "explaining this kind of model takes too long" in slow


@pytest.mark.parametrize(
    ("cost", "area", "ratio", "found"),
    [
        (0.29, 0.51, 1.0, []),
        (
            0.30,
            0.51,
            1.0,
            ["The expected cost per application is 0.3000. This is not below 0.3000"],
        ),
        (0.69, 0.51, 5.0, []),  # granting all costs 1.5, refusing all 0.7
        (
            0.71,
            0.51,
            5.0,
            ["The expected cost per application is 0.7100. This is not below 0.7000"],
        ),
        (0.20, 0.49, 1.0, ["The ROC-AUC is 0.4900. This is below 0.5"]),
        (0.30, 0.49, 1.0, ["The expected cost", "The ROC-AUC"]),
    ],
)
def test_shortcomings(cost, area, ratio, found):
    said = shortcomings(cost=cost, area=area, good=0.7, cost_ratio=ratio, language="en")
    assert len(said) == len(found)
    assert all(s.startswith(f) for s, f in zip(said, found, strict=True))
