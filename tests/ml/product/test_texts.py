"""Tests of ml/product/texts.py, and of the sentences for reasons of the shipped products."""

import re

import pytest
from pydantic import ValidationError

from ml.product.files import PRODUCTS, read_product
from ml.product.texts import (
    CASES,
    LANGUAGES,
    PLAIN,
    Text,
    Wording,
)

SHIPPED = sorted(path.stem for path in PRODUCTS.glob("*.toml"))
LABEL = Text(en="Loan amount", fr="Montant du prêt")
CHOICE = Text(en="Owner", fr="Propriétaire")


def test_text_in_a_language():
    assert LABEL.in_language("en") == "Loan amount"
    assert LABEL.in_language("fr") == "Montant du prêt"
    assert LABEL.in_language("de") == "Loan amount"
    assert LANGUAGES == ("en", "fr")


@pytest.mark.parametrize(
    "words", [{}, {"en": "Loan"}, {"fr": "Prêt"}, {"en": "Loan", "fr": "Prêt", "de": "Darlehen"}]
)
def test_text_in_too_few_or_too_many_languages(words):
    with pytest.raises(ValidationError):
        Text(**words)


@pytest.mark.parametrize("sign", [":", ";", "!", "?", "»", "%"])
def test_text_in_french_breaks_no_line_before_a_double_sign(sign):
    text = Text(en=f"Before {sign} after", fr=f"Avant {sign} après")
    assert text.fr == f"Avant\u00a0{sign} après"
    assert text.en == f"Before {sign} after"


def test_text_in_french_breaks_no_line_within_quotation_marks():
    text = Text(en="“a”", fr="Ni « a b » ni «{first}» ni «\u202fc\u202f», {a:,}")
    assert text.fr == "Ni «\u00a0a b\u00a0» ni «{first}» ni «\u202fc\u202f», {a:,}"
    assert Text.model_validate_json(text.model_dump_json()) == text


def test_say_in_french_breaks_no_line_before_a_colon():
    for case in PLAIN:
        assert " :" not in Wording().say(case, label=LABEL, choice=CHOICE).fr


def test_text_cannot_be_changed():
    with pytest.raises(ValidationError):
        LABEL.en = "other"


@pytest.mark.parametrize("case", sorted(PLAIN))
def test_say_without_a_wording_of_its_own(case):
    text = Wording().say(case, label=LABEL, choice=CHOICE)
    for language in LANGUAGES:
        words = text.in_language(language)
        assert words.startswith(LABEL.in_language(language))
        assert words != LABEL.in_language(language)
        assert (CHOICE.in_language(language) in words) == (case == "value")
        assert "{" not in words


def test_say_by_the_plain_patterns_tells_every_case_apart():
    assert {case for cases in CASES.values() for case in cases} | {"missing"} == set(PLAIN)
    texts = {Wording().say(case, label=LABEL, choice=CHOICE) for case in PLAIN}
    assert len(texts) == len(PLAIN)


def test_say_with_a_wording_of_its_own():
    wording = Wording(
        high=Text(en="Too much is asked for", fr="La demande est trop élevée"),
        value=Text(en="Home: {choice}", fr="Logement : {choice}"),
        missing=Text(en="No answer on {label}", fr="Sans réponse : {label}"),
    )
    assert wording.say("high", label=LABEL) == wording.high
    assert wording.say("low", label=LABEL).en == "Loan amount is low"
    text = wording.say("value", label=LABEL, choice=CHOICE)
    assert (text.en, text.fr) == ("Home: Owner", "Logement\u00a0: Propriétaire")
    text = wording.say("missing", label=LABEL)
    assert text.en == "No answer on Loan amount"
    assert text.fr == "Sans réponse\u00a0: Montant du prêt"


def test_wording_of_a_case_that_there_is_not():
    with pytest.raises(ValidationError):
        Wording(higher=LABEL)


def reasons(product):
    """Yield every possible reason: its field or ratio, the case, the choice and the text."""
    for part in (*product.inputs, *product.ratios):
        kind = getattr(part, "kind", "integer")
        cases = (*CASES[kind], "missing") if getattr(part, "optional", True) else CASES[kind]
        for case in cases:
            choices = [c.label for c in part.choices] if case == "value" else [None]
            for choice in choices:
                yield part, case, choice, part.reasons.say(case, label=part.label, choice=choice)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_reasons_are_never_a_bare_label(name):
    product = read_product(name)
    names = {part.name for part in (*product.fields, *product.ratios)}
    texts = list(reasons(product))
    assert len(texts) > len(product.inputs)
    for part, case, _, text in texts:
        for language in LANGUAGES:
            words = text.in_language(language)
            assert words != part.label.in_language(language), (part.name, case)
            assert words not in names
            assert len(words.split()) >= 2
            assert not re.search(r"[{}_]", words)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_reasons_are_said_in_both_languages(name):
    for part, case, choice, text in reasons(read_product(name)):
        assert text.en != text.fr, (part.name, case)
        if choice is not None:
            assert choice.en in text.en
            assert choice.fr in text.fr


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_reasons_are_all_different(name):
    texts = [text for *_, text in reasons(read_product(name))]
    for language in LANGUAGES:
        assert len({text.in_language(language) for text in texts}) == len(texts)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_fields_all_have_wordings_of_their_own(name):
    for field in read_product(name).inputs:
        wanted = {*CASES[field.kind], *(["missing"] if field.optional else [])}
        assert {case for case, text in field.reasons if text is not None} == wanted
