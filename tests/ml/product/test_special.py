"""Tests that fields of special categories are refused unless they are protected."""

import pytest

from ml.product.special import refuse_special
from ml.product.texts import Text


@pytest.mark.parametrize(
    ("name", "en", "fr"),
    [
        ("nationality", "Country", "Pays"),
        ("country", "Nationality", "Pays"),
        ("country", "Country", "Nationalité"),
        ("health_insurance", "Insurance", "Assurance"),
        ("x", "Chronic illness", "Affection"),
        ("x", "Trade union", "Groupe"),
        ("x", "Illnesses", "Affections"),
        ("x", "Number of disabilities", "Nombre"),
        ("x", "Number", "Nombre de maladies"),
        ("sex", "S", "S"),
        ("married", "M", "M"),
        ("x", "y", "Situation matrimoniale"),
    ],
)
def test_special_category_is_refused(name, en, fr):
    with pytest.raises(ValueError, match="which no model or rule may use"):
        refuse_special(
            [("loan_amount", Text(en="Amount", fr="Montant")), (name, Text(en=en, fr=fr))]
        )


@pytest.mark.parametrize(
    ("name", "en", "fr"),
    [
        ("purchase_price", "Purchase price", "Prix d’achat"),
        ("years_in_job", "Time in current job", "Ancienneté"),
        ("account_age", "Age of the account", "Âge du compte"),
        ("essex_branch", "Branch in Essex", "Agence"),
        ("property_type", "Kind of property", "Genre de bien"),
        ("rating", "Rating by the bank’s policy", "Note selon la politique de la banque"),
    ],
)
def test_other_fields_are_accepted(name, en, fr):
    refuse_special([(name, Text(en=en, fr=fr))])
