"""Tests of ml/card/pictures.py."""

import re

import pytest

from ml.card.card import model_card
from ml.card.pictures import DESCRIPTIONS, TITLES, describe
from ml.product.texts import LANGUAGES


@pytest.fixture(scope="module")
def card(bundle):
    return model_card(bundle)


def described(card, language="en", **changes):
    evidence = card.evidence.model_copy(update=changes)
    return describe(evidence, card.importance, language)


def test_describe_says_the_key_figures_of_each_picture(card):
    evidence, used = card.evidence, card.evidence.used
    figures = {
        "calibration": [f"{evidence.calibration.expected_error:.3f}", "10 groups"],
        "roc": [f"{evidence.figures.roc_auc:.3f}", "0.5", f"{used.threshold:g}"],
        "precision_recall": [f"{evidence.figures.pr_auc_refused:.3f}"],
        "thresholds": [f"{100 * used.grant_rate:.1f}%", f"{used.cost_per_1000:.0f} good loans"],
        "importance": [card.importance[0].label.en, f"{card.importance[0].mean:.3f}"],
    }
    assert list(figures) == list(TITLES) == list(DESCRIPTIONS)
    for name, text in described(card).items():
        assert all(figure in text for figure in figures[name]), text


def test_describe_in_french_writes_french_numbers(card):
    english, french = (described(card, language) for language in LANGUAGES)
    for name, text in french.items():
        assert re.search(r"\d,\d", text)
        assert not re.search(r"\d\.\d|\d%|[{}]", text)
        assert len(re.findall(r"\d", text)) == len(re.findall(r"\d", english[name]))


def test_describe_thresholds_that_grant_or_refuse_nobody(card):
    used = card.evidence.used
    n, n_good = card.evidence.figures.n, card.evidence.figures.n_good
    everybody = {"granted": n, "bad_granted": n - n_good, "good_refused": 0}
    rows = (used.model_copy(update=everybody),)
    assert "refuses no loan" in described(card, thresholds=rows)["precision_recall"]
    assert "ne refuse aucun prêt" in described(card, "fr", thresholds=rows)["precision_recall"]
    rows = (used.model_copy(update={"bad_rate": None}),)
    assert "– of them bad" in described(card, thresholds=rows)["thresholds"]
