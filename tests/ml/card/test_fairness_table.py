"""Tests of ml/card/fairness_table.py."""

import json

import numpy as np
import pytest

from ml.card.fairness_table import FIGURES, as_text
from ml.evaluation.fairness import assess
from ml.evaluation.fairness_reports import FairnessReport, GroupReport
from ml.product.files import read_product
from tests.ml.evaluation.counts import EVEN, rows


@pytest.fixture(scope="module")
def mortgage():
    return read_product("mortgage")


def test_as_text_says_every_group_limit_and_finding(mortgage):
    frame, answers = rows(
        "protected_race", {"white": EVEN, "black": (20, 30, 5, 45), "hispanic": (9, 0, 0, 0)}
    )
    found = assess(mortgage, frame, **answers)
    written = json.dumps(found.model_dump(mode="json"), sort_keys=True)  # as a file may hold it
    kept = FairnessReport.model_validate_json(written)
    english, french = as_text(kept), as_text(kept, language="fr")
    assert english == as_text(found)
    for words in ("Race", "White", "reference", "Black", "outside", "grant ratio", "0.500"):
        assert words in english
    for words in ("Hispanic", "assessable", "ratio from 0.800 to 1.250", "at most 0.100"):
        assert words in english
    for words in ("Origine", "Blanche", "référence", "hors", "−0,400", "0,800 à 1,250"):
        assert words in french
    for words in ("mean probability", "p, corrected", "1.0000", "ROC-AUC", "Holm"):
        assert words in english
    answers["probability"] = np.full(len(frame), 0.99)
    assert "0.0000" in as_text(assess(mortgage, frame, **answers))
    assert max(map(len, english.splitlines())) <= 100


def test_figures_are_those_of_a_group():
    assert FIGURES.keys() < GroupReport.model_fields.keys()
