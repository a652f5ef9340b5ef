"""Tests of the factors on the page of a decision: answers, what is typical, and small shares."""

import pytest

from ml.explaining.typical import Typical
from ml.product.texts import LANGUAGES
from webapp.decisions.factors import MIN_SHOWN_SHARE, factors_of
from webapp.decisions.writing import as_stored

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
TYPICAL = {
    "loan_amount": Typical(1_000, 8_000, 0.5),
    "purchase_price": Typical(2_000, 9_000, 0.5),
    "loan_to_price": Typical(0.5, 0.75, 0.5),
    "outstanding_debt": Typical(0, 500, 0.5),
    "assets": Typical(None, None, 0.6),
    "years_in_job": Typical(1, 1, 0.6),
    "home_status": Typical("owner", "owner", 0.4),
    "adverse_credit_record": Typical(0, 0, 0.74),
}
ANSWERS = {
    "loan_amount": 9_000,
    "purchase_price": 10_000,
    "outstanding_debt": 2_000,
    "assets": None,
    "years_in_job": 0,
    "home_status": "renting",
    "adverse_credit_record": 1,
}
SHOWN = {
    "en": {
        "loan_to_price": [
            ("Loan amount", "9,000 EUR", "1,000 to 8,000 EUR"),
            ("Purchase price", "10,000 EUR", "2,000 to 9,000 EUR"),
            ("Loan to price", "90.0%", "50.0% to 75.0%"),
        ],
        "outstanding_debt": [("Outstanding debt", "2,000 EUR", "0 to 500 EUR")],
        "assets": [("Assets", "not given", "not given")],
        "years_in_job": [("Time in current job", "0 years", "1 year")],
        "home_status": [("Housing", "Renting", "Owner (40.0%)")],
        "adverse_credit_record": [("Adverse credit record", "Yes", "No (74.0%)")],
    },
    "fr": {
        "loan_to_price": [
            ("Montant du prêt", "9 000 EUR", "1 000 à 8 000 EUR"),
            ("Prix d’achat", "10 000 EUR", "2 000 à 9 000 EUR"),
            ("Prêt rapporté au prix", "90,0 %", "50,0 % à 75,0 %"),
        ],
        "outstanding_debt": [("Dettes en cours", "2 000 EUR", "0 à 500 EUR")],
        "assets": [("Patrimoine", "non renseigné", "non renseigné")],
        "years_in_job": [("Ancienneté dans l’emploi", "0 an", "1 an")],
        "home_status": [("Logement", "Locataire", "Propriétaire (40,0 %)")],
        "adverse_credit_record": [("Incident de crédit enregistré", "Oui", "Non (74,0 %)")],
    },
}


def plain(text):
    return " ".join(text.split())


@ON_ONE
@pytest.mark.parametrize("language", LANGUAGES)
def test_factors_have_the_answer_and_what_is_typical(app, bundle, product, refused, language):
    inputs = refused | ANSWERS
    reasons = as_stored(bundle.explainer.explain(inputs, granted=False).reasons)
    with app.test_request_context(headers={"Accept-Language": language}):
        found = factors_of(reasons, inputs, product, bundle.explainer.typical | TYPICAL)
    factors = {r["field"]: factor for r, factor in zip(reasons, found, strict=True)}
    for name, expected in SHOWN[language].items():
        of_one = factors[name].answers
        assert [(plain(a.label), plain(a.value), plain(a.typical)) for a in of_one] == expected


@ON_ONE
def test_factors_without_the_model_have_no_answers(app, bundle, refused):
    reasons = as_stored(bundle.explainer.explain(refused, granted=False).reasons)
    with app.test_request_context():
        assert all(factor.answers == [] for factor in factors_of(reasons, refused))


@ON_ONE
def test_small_factors_are_those_below_a_part_of_the_largest_but_no_principal_one(app, refused):
    def reason(share, *, principal=False):
        text = {"en": str(share), "fr": str(share)}
        return {"field": "assets", "share": share, "principal": principal, "text": text}

    limit = 2.0 * MIN_SHOWN_SHARE
    reasons = [
        reason(-limit / 2, principal=True),
        reason(-limit * 0.99),
        reason(-limit),
        reason(limit * 0.99),
        reason(2.0),
    ]
    with app.test_request_context():
        shown = factors_of(reasons, refused)
    assert [factor.small for factor in shown] == [False, True, False, True, False]


@ON_ONE
def test_show_small_factors_folded(send, signed_in, read_page, granted):
    page = read_page(signed_in.get(f"{send(granted).location}?explain=yes").text)
    why = page.find(".//section[@id='why']")
    [folded] = why.iter("details")
    small = len(folded.findall(".//tbody/tr"))
    assert plain("".join(folded.find("summary").itertext())).startswith(
        "One factor" if small == 1 else f"{small} factors"
    )
    assert small < len(why.findall(".//tbody/tr"))
