"""Tests that docs/bring-your-own.md describes every key as the code defines it."""

import re
import tomllib
from pathlib import Path

import pytest

from ml.explaining.reasons import MAX_PLAYERS
from ml.product.application import Rules
from ml.product.conditions import PolicyRule, Referral
from ml.product.definition import (
    MAX_PAIRS,
    Choice,
    Field,
    Group,
    Product,
)
from ml.product.files import parse_product
from ml.product.quantities import Ratio
from ml.product.samples import examples
from ml.product.texts import PLAIN, Text, Wording
from ml.product.tolerances import Fairness, RowFlaws
from ml.training.reference import BACKGROUND_ROWS, MAX_NOVELTY_ROWS
from ml.training.train import FOLDS

DOC = (Path(__file__).parents[2] / "docs/bring-your-own.md").read_text()
PARTS = {
    "The product": Product,
    "A group": Group,
    "A field": Field,
    "An answer": Choice,
    "A ratio": Ratio,
    "A policy rule": PolicyRule,
    "When a person decides": Referral,
    "Reasons in your own words": Wording,
    "Limits of fairness": Fairness,
    "Known flaws of the rows": RowFlaws,
}


def section(title):
    """Return the rows of the table below a heading: the other cells by key."""
    text = DOC[re.search(rf"^### {title}", DOC, re.M).end() :]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", re.split(r"^##+ ", text, flags=re.M)[0], re.M)
    return {key: [cell.strip() for cell in cells.split("|")] for key, cells in rows}


@pytest.mark.parametrize(("title", "part"), PARTS.items(), ids=PARTS)
def test_doc_names_every_key_and_no_other(title, part):
    rows = section(title)
    keys = {field.alias or name: field for name, field in part.model_fields.items()}
    assert set(rows) == set(keys)
    if part is Wording:
        return
    for key, (needed, meaning) in rows.items():
        field = keys[key]
        assert (needed == "optional") == (not field.is_required()), key
        stated = re.search(r"Default: (\S+)\.$", meaning)
        if stated:
            assert tomllib.loads(f"it = {stated[1]}")["it"] == field.default, key


def test_doc_lists_the_default_wordings():
    for case, (_, english, french) in section("Reasons in your own words").items():
        assert Text(en=english, fr=french) == PLAIN[case]


def test_doc_s_example_has_every_key_and_is_valid():
    text = re.search(r"```toml\n(.*?)```", DOC, re.S)[1]
    product = parse_product(text, source="doc")
    definition = tomllib.loads(text)
    fields = definition["fields"]
    wordings = [x["reasons"] for x in (*fields, *definition["ratios"]) if "reasons" in x]
    examples_of_part = {
        Product: [definition],
        Group: definition["groups"],
        Field: fields,
        Choice: [c for f in fields for c in f.get("choices", ())],
        Ratio: definition["ratios"],
        PolicyRule: definition["policy_rules"],
        Referral: [definition["referral"]],
        Wording: wordings,
        Fairness: [definition["fairness"]],
        RowFlaws: [definition["rows"]],
    }
    for part, parts in examples_of_part.items():
        keys = {field.alias or name for name, field in part.model_fields.items()}
        assert set().union(*parts) == keys, part
    rules = Rules(product)
    for application in examples(product, count=50, seed=3):
        assert rules.check(application) == application


def test_doc_s_numbers_are_those_of_the_code():
    for pattern, number in (
        (r"steps must leave ([\d,]+) of them", MAX_PAIRS),
        (r"With more than (\d+) lines", MAX_PLAYERS),
        (r"(\d+) of each are needed", FOLDS**2),
        (r"at least (\d+) good", FOLDS**2),
        (r"The bundle keeps (\d+) rows as they are", BACKGROUND_ROWS["linear"]),
        (r"up to ([\d,]+) as the\s+model sees them", MAX_NOVELTY_ROWS),
    ):
        assert int(re.search(pattern, DOC)[1].replace(",", "")) == number, pattern
