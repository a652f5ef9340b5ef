"""Tests of what would change a decision: the suggested loans on its page, and what is said."""

import shutil
from collections import defaultdict

import pytest

from ml.bundle.changes import find_changes
from ml.bundle.manifest import PRODUCT
from ml.bundle.rules import change_rules
from ml.product.formats import decimal, format_integer
from ml.product.texts import LANGUAGES
from ml.training.dataset import as_applications
from webapp.decisions.suggesting import offer
from webapp.desk.service import switch
from webapp.ledger.transaction import unit_of_work

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def text_of(element):
    return " ".join("".join(element.itertext()).split())


def part(page, name):
    return next((e for e in page.iter("section") if e.get("id") == name), None)


@pytest.fixture(scope="module")
def real_refusals(origin, bundle, product):
    """Training rows that the model refuses: a few for each set of fields that it suggests."""
    of_kind = defaultdict(list)
    for application in as_applications(origin.rows.fields):
        if bundle.scorer.score(application).probability < bundle.threshold:
            changes = find_changes(bundle, application, threshold=bundle.threshold)
            missing = application["monthly_income"] is None
            of_kind[missing, *(tuple(s.values) for s in changes.suggestions)].append(application)
    return [application for some in of_kind.values() for application in some[:3]]


SUGGESTED = {
    "en": {
        "offer": "A loan of {} EUR over {} months "
        "(instalment without interest: {} EUR/month) would be granted (probability {}%)",
        "loan_amount": "Loan amount: no other value from {} to {} EUR can be suggested on its own",
        "loan_term_months": "Term: no other value from {} to {} months can be suggested on its own",
        "found": "All else equal, in steps of 50 EUR and 6 months. "
        "No smaller change can be suggested.",
        "apply": "Apply with these values",
        "nothing": "A lower amount together with another value cannot be suggested either.",
        "rule": "Suggested only where the instalment is covered by income less expenses and the "
        "income is known.",
        "lacking": "Nothing is suggested without an answer to: Monthly income. "
        "It is needed to check whether the instalment is covered by income less expenses.",
    },
    "fr": {
        "offer": "Un prêt de {} EUR sur {} mois "
        "(mensualité hors intérêts : {} EUR/mois) serait accordé (probabilité {} %)",
        "loan_amount": "Montant du prêt : aucune autre valeur de {} à {} EUR "
        "ne peut être proposée seule",
        "loan_term_months": "Durée : aucune autre valeur de {} à {} mois "
        "ne peut être proposée seule",
        "found": "Toutes choses égales par ailleurs, par pas de 50 EUR et 6 mois. Aucun changement "
        "moindre ne peut être proposé.",
        "apply": "Faire une demande avec ces valeurs",
        "nothing": "Un montant inférieur combiné à une autre valeur "
        "ne peut pas être proposé non plus.",
        "rule": "Proposé seulement si la mensualité est couverte par le revenu moins les charges "
        "et le revenu est connu.",
        "lacking": "Aucune proposition sans cette réponse : Revenu mensuel. "
        "Elle est nécessaire pour vérifier que la mensualité est couverte par le revenu moins "
        "les charges.",
    },
}


@ON_ONE
@pytest.mark.parametrize("language", LANGUAGES)
def test_show_what_would_change_the_decision(
    put, signed_in, read_page, real_refusals, bundle, product, language
):
    words, kinds = SUGGESTED[language], set()

    def number(value):
        return " ".join(format_integer(value, language).split())

    for application in real_refusals:
        changes = find_changes(bundle, application, threshold=bundle.threshold)
        lines, alone = [], set()
        for values, probability in changes.suggestions:
            loan = application | values
            p = f"{probability * 100:.1f}".replace(".", "," if language == "fr" else ".")
            instalment = decimal(loan["loan_amount"] / loan["loan_term_months"], language, places=2)
            figures = (
                number(loan["loan_amount"]),
                loan["loan_term_months"],
                " ".join(instalment.split()),
                p,
            )
            lines.append(words["offer"].format(*figures))
            alone |= set(values) if len(values) == 1 else set()
        for name, searched in changes.searched.items():
            if name not in alone:
                lines.append(words[name].format(*map(number, searched)))
        number_of = put(application, model=bundle.version)
        headers = {"Accept-Language": language}
        trials = part(
            read_page(signed_in.get(f"/decisions/{number_of}", headers=headers).text), "trials"
        )
        if application["monthly_income"] is None:
            assert not trials.findall(".//ul/li")
            assert text_of(trials.find("./div/p")) == words["lacking"]
            kinds.add("lacking")
            continue
        links = trials.findall(".//ul/li/a")
        assert len(links) == len(changes.suggestions)
        shown = [text_of(item) for item in trials.findall(".//ul/li")]
        assert [line.removesuffix(f" {words['apply']}") for line in shown] == lines
        kind = "found" if changes.suggestions else "nothing"
        assert text_of(trials.find("./div/p")) == f"{words[kind]} {words['rule']}"
        kinds.add((kind, *sorted(alone)))
    assert {"lacking", ("nothing",), ("found",), ("found", "loan_amount")} <= kinds


@ON_ONE
@pytest.mark.parametrize(
    ("stated", "values", "expected"),
    [
        (
            {},
            {"loan_amount": 700},
            "A loan of 700 EUR over 12 months (instalment without interest: 58.33 EUR/month)",
        ),
        (
            {},
            {"assets": 1},
            "A loan of 5,000 EUR over 12 months "
            "(Assets 1 EUR, instalment without interest: 416.67 EUR/month)",
        ),
        ({"term": None}, {"loan_amount": 700}, "A loan of 700 EUR"),
        ({"term": None}, {"loan_term_months": 6}, "A loan of 5,000 EUR (Term 6 months)"),
    ],
)
def test_offer_describes_the_loan_and_other_changes(
    app, refused, product, stated, values, expected
):
    applied = refused | {"loan_amount": 5_000, "loan_term_months": 12}
    with app.test_request_context(headers={"Accept-Language": "en"}):
        text = offer(product.model_copy(update=stated), applied, values)
    assert " ".join(text.split()) == expected


@pytest.fixture
def improvable(real_refusals, bundle):
    """A refused application for which a loan can be suggested."""
    return next(
        a for a in real_refusals if find_changes(bundle, a, threshold=bundle.threshold).suggestions
    )


@ON_ONE
@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_promised_that_tries_or_the_switch_would_refer(
    app, put, signed_in, read_page, improvable, bundle, product, operator, language
):
    number = put(improvable, model=bundle.version, reference="A/1")

    def suggested():
        answer = signed_in.get(f"/decisions/{number}", headers={"Accept-Language": language})
        trials = part(read_page(answer.text), "trials")
        return text_of(trials.find(".//ul/li")), [text_of(p) for p in trials.findall("./div/p")]

    english = language == "en"
    granted = "would be granted (" if english else "serait accordé ("
    passing = "would pass the model and" if english else "satisferait le modèle et"
    person = "A person would decide on" if english else "Une telle demande serait de toute façon"
    several = "Several applications of this" if english else "Plusieurs demandes de ce client"
    every = "Every application is" if english else "Toutes les demandes sont"
    line, notes = suggested()
    assert granted in line
    assert not [note for note in notes if person in note]
    for _ in range(product.referral.tries - 1):
        put(improvable, model=bundle.version, reference="A/1")
    line, notes = suggested()
    assert passing in line
    assert granted not in line
    assert [person in notes[0], several in notes[0], every in notes[0]] == [True, True, False]
    with app.app_context(), unit_of_work() as transaction:
        switch(transaction, referring=True, reason="a test", operator=operator)
    line, notes = suggested()
    assert [several in notes[0], every in notes[0]] == [True, True]


@ON_ONE
def test_rules_that_have_changed_meanwhile_are_pointed_out(
    put, signed_in, sign_in, restart, improvable, bundle, tmp_path
):
    number = put(improvable, model=bundle.version)
    note = "A new application is decided with those in service."
    assert note not in signed_in.get(f"/decisions/{number}").text
    folder = shutil.copytree(bundle.directory, tmp_path / "models" / "own")
    text = bundle.file(PRODUCT).decode().replace("band = 0.02", "band = 0.1")
    changed = change_rules(bundle, folder, definition=text.encode(), source="own.toml")
    page = sign_in(restart(changed.directory)).get(f"/decisions/{number}").text
    assert note in page
    assert "would be granted (probability" in page
