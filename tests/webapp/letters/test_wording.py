"""Tests of the templates of letters: what they say, and what the sandbox refuses."""

import hashlib
import html
import re
from dataclasses import fields, replace

import html5lib
import pytest

from ml.product.texts import LANGUAGES
from webapp.config import Config
from webapp.failures import LetterBroken
from webapp.letters.examples import REASONS, example, left_out
from webapp.letters.records import KINDS, REGIMES, Bank, Draft
from webapp.letters.wording import MAX_CHARACTERS, OURS, render

REFUSALS = [kind for kind in KINDS if kind.startswith("refused")]
BANK = Bank(
    name="Bank & Sons",
    address=("1 High Street", "London"),
    contact=("Reviews", "reviews@bank.example"),
    debt_advice="Advice, 0800 000",
    agency="Bureau of Consumer Financial Protection, 1700 G Street NW., Washington, DC 20552",
    register="Register, 1 Main Road",
)
# What every letter must say, in plain words: the articles are in docs/letters.md.
RIGHTS = {
    ("eu", "en"): (
        "automated processing of your data",
        "a person steps in and reviews the assessment of your creditworthiness and the decision",
        "a clear and comprehensible explanation of this assessment: the logic and the risks of the "
        "automated processing, its significance, and its effects on the decision",
        "express your point of view",
        "have your data corrected or completed",
    ),
    ("eu", "fr"): (
        "traitement automatisé de vos données",
        "une personne intervienne et réexamine l’évaluation de votre solvabilité et la décision",
        "une explication claire et compréhensible de cette évaluation : la logique et les risques "
        "du traitement automatisé, son importance et ses effets sur la décision",
        "exprimer votre point de vue",
        "faire rectifier ou compléter vos données",
    ),
    ("us", "en"): ("ask for a review by a person", "express your point of view"),
    ("us", "fr"): (
        "une personne réexamine votre demande",
        "exprimer votre point de vue",
        "cette lettre en anglais si vous le demandez",
    ),
}
OF_REFUSALS = {
    ("eu", "en"): ("principal reasons for this refusal", "a debt-advice service can help you"),
    ("eu", "fr"): ("motifs principaux de ce refus", "un service de conseil peut vous aider"),
    ("us", "en"): (
        "Notice of action taken and statement of reasons",
        "principal reasons for our decision",
        # Regulation B, 12 CFR 1002.9(b)(1).
        "The Federal Equal Credit Opportunity Act prohibits creditors from discriminating against "
        "credit applicants on the basis of race, color, religion, national origin, sex, marital "
        "status, age (provided the applicant has the capacity to enter into a binding contract); "
        "because all or part of the applicant’s income derives from any public assistance program; "
        "or because the applicant has in good faith exercised any right under the Consumer Credit "
        "Protection Act. The Federal agency that administers compliance with this law concerning "
        f"this creditor is {BANK.agency}.",
    ),
    ("us", "fr"): ("exposé des motifs", "Equal Credit Opportunity Act", BANK.agency),
}
CONTEST = {"en": "You can contest the decision", "fr": "Vous pouvez contester la décision"}
CONSUMER_REPORT = "Fair Credit Reporting Act"
ALL = [(kind, regime, language) for kind in KINDS for regime in REGIMES for language in LANGUAGES]


def draft(kind="refused", regime="eu", language="en", **changes):
    return replace(example(kind, regime, language, Config()), bank=BANK, **changes)


def text_of(written):
    """Return what a reader sees, with plain spaces."""
    tree = html5lib.parseFragment(written, namespaceHTMLElements=False)
    return " ".join("".join(tree.itertext()).split())


@pytest.mark.parametrize(("kind", "regime", "language"), ALL)
def test_every_letter_says_the_rights_and_is_valid_html(kind, regime, language):
    written = render(draft(kind, regime, language), folder=OURS).text
    parser = html5lib.HTMLParser(strict=True)
    parser.parse(f"<!doctype html><title>x</title>{written}")
    said = text_of(written)
    for words in RIGHTS[regime, language]:
        assert words in said
    for words in OF_REFUSALS[regime, language]:
        assert (words in said) == (kind in REFUSALS)
    assert (CONTEST[language] in said) == (kind != "referred")
    assert left_out(draft(kind, regime, language), html.unescape(written)) == []
    assert ("1 High Street" in said, "Bank & Sons" in said) == (True, True)
    assert not re.search(r"<(script|style|form|link)|style=| on\w+=", written)


@pytest.mark.parametrize(("kind", "regime", "language"), ALL)
def test_every_letter_says_who_or_what_decided(kind, regime, language):
    said = text_of(render(draft(kind, regime, language), folder=OURS).text)
    model = {"en": "statistical model", "fr": "modèle statistique"}
    person = {"en": "a member of our staff", "fr": "un collaborateur de la banque"}
    assert model[language] in said
    by_person = kind.endswith("review") or kind == "referred"
    assert (person[language] in said.lower()) == by_person
    decided = {"en": "made the decision", "fr": "a pris la décision"}
    assert (decided[language] in said) == (kind not in ("referred", "refused_policy"))


def test_consumer_report_is_named_only_if_a_field_came_from_one():
    for language in LANGUAGES:
        used = text_of(render(draft("refused", "us", language), folder=OURS).text)
        assert CONSUMER_REPORT in used
        assert BANK.register in used
        without = draft("refused", "us", language, register_fields=())
        said = text_of(render(without, folder=OURS).text)
        assert CONSUMER_REPORT not in said
        assert BANK.register not in said
    eu = text_of(render(draft(register_fields=()), folder=OURS).text)
    assert "credit register" not in eu


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("kind", KINDS)
def test_letter_says_what_the_decision_used(kind, regime):
    """A person may have used more than the application: documents, earlier loans."""
    said = {
        language: text_of(
            render(draft(kind, regime, language, register_fields=()), folder=OURS).text
        )
        for language in LANGUAGES
    }
    by_person = kind.endswith("review")
    only_application = not by_person and kind != "referred"
    assert ("Only the information in your application" in said["en"]) == only_application
    assert ("Seules les informations de votre demande" in said["fr"]) == only_application
    assert ("your earlier loans with us" in said["en"]) == by_person
    assert ("vos crédits précédents chez nous" in said["fr"]) == by_person


def test_reasons_are_all_there_and_nothing_else_is():
    four = draft(language="fr")
    listed = re.findall(r"<li>([^<]*)</li>", render(four, folder=OURS).text.partition("</ol>")[0])
    assert [html.unescape(t) for t in listed] == [r.fr for r in REASONS]
    one = render(draft(language="fr", reasons=("Un seul",)), folder=OURS).text
    assert "Le motif principal de ce refus" in one


def test_values_are_escaped():
    evil = '<script>alert("1")</script>'
    bank = replace(BANK, name=evil)
    written = render(
        replace(draft(recipient=(evil,), reference=evil, reasons=(evil,)), bank=bank), folder=OURS
    ).text
    assert "<script" not in written
    assert written.count("&lt;script&gt;") == 5


def test_digest_is_that_of_the_template_s_file():
    rendered = render(draft(), folder=OURS)
    assert rendered.template == "eu/en.html"
    assert rendered.digest == hashlib.sha256((OURS / "eu/en.html").read_bytes()).hexdigest()


@pytest.fixture
def written(tmp_path):
    """Write a letter from a template of the bank's own."""

    def make(source):
        (tmp_path / "eu").mkdir(exist_ok=True)
        data = source if isinstance(source, bytes) else source.encode()
        (tmp_path / "eu" / "en.html").write_bytes(data)
        return render(draft(), folder=tmp_path)

    return make


def test_bank_s_own_template_is_used(written):
    source = "<p>{{ letter.bank.name }}: {{ letter.reasons|join('; ') }} {{ letter.outcome }}</p>"
    rendered = written(source)
    assert rendered.text == (f"<p>Bank &amp; Sons: {'; '.join(r.en for r in REASONS)} refused</p>")
    assert rendered.digest == hashlib.sha256(source.encode()).hexdigest()


@pytest.mark.parametrize(
    "escape",
    [
        "{{ letter.__class__.__mro__ }}",
        "{{ letter.bank.__init__.__globals__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ letter|attr('__class__')|attr('__mro__') }}",
        "{{ '{0.__class__}'.format(letter) }}",
        "{{ '{0.__class__}'.format_map({'0': letter}) }}",
        "{{ self.__init__ }}",
        "{{ (letter.reasons|map(attribute='__class__')|list)[0].__mro__ }}",
        "{% set letter.kind = 'granted' %}x",
        "{% include '/etc/hostname' %}",
        "{% include 'fr.html' %}",
        "{% extends '../us/en.html' %}",
        "{% import 'fr.html' as other %}x",
        "{{ config }}",
        "{{ request.environ }}",
        "{{ lipsum.__globals__ }}",
        "{{ cycler() }}",
        "{{ range(10) }}",
        "{{ url_for('static') }}",
        "{{ [].append(1) or 'x' }}",
    ],
)
def test_sandbox_refuses(written, escape):
    with pytest.raises(LetterBroken, match=r"^eu/en\.html: "):
        written(escape)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("a\n{{ letter.bank_name }}", "line 2: .*bank_name"),
        ("{{ letters }}", "line 1: 'letters' is undefined"),
        ("a\n\n{% if %}", "line 3: "),
        ("{{ 1 // 0 }}", "line 1: ZeroDivisionError"),
        (b"\xff", "not in UTF-8"),
        ("  \n", "2 characters"),
        ("{{ 'x' * 70000 }}", "70,000 characters"),
    ],
)
def test_broken_templates_are_explained(written, source, problem):
    with pytest.raises(LetterBroken, match=problem):
        written(source)


def test_missing_template(tmp_path):
    with pytest.raises(LetterBroken, match=r"eu/en\.html: No such file"):
        render(draft(), folder=tmp_path)


def test_longest_letter_of_ours_is_far_below_the_limit():
    assert 5 * len(render(draft("refused", "us", "fr"), folder=OURS).text) < MAX_CHARACTERS


def test_documentation_names_every_variable():
    page = (OURS.parent.parent.parent / "docs" / "letters.md").read_text()
    names = {f"letter.{f.name}" for f in fields(Draft) if f.name != "bank"}
    names |= {f"letter.bank.{f.name}" for f in fields(Bank)} | {"letter.outcome", "letter.basis"}
    assert set(re.findall(r"^\| `(letter\.[a-z_.]+)`", page, flags=re.M)) == names
