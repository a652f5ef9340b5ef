"""Refuses fields of special categories of personal data, which no lender may score."""

import re
from collections.abc import Iterable

from ml.product.texts import Text

# Special categories of personal data (GDPR, art. 9(1)), which an assessment of creditworthiness
# must not use (Directive (EU) 2023/2225, art. 18(3)); nationality; and the other grounds of 12 CFR
# 1002.2(z) but for age, which 12 CFR 1002.6(b)(2) lets a statistical system use under conditions.
WORDS = {
    "en": (
        "race|racial|ethnic|ethnicity|ethnicities|nationality|nationalities|citizen|citizenship|"
        "national origin|religion|religious|belief|political|trade union|union member|health|"
        "illness|disease|medical|disability|disabilities|disabled|pregnant|pregnancy|pregnancies|"
        "genetic|biometric|sex|gender|sexual|sexual orientation|skin colou?r|marital|married|"
        "public assistance"
    ),
    "fr": (
        "race|racial|raciale|ethnique|ethnie|nationalité|citoyenneté|religion|religieux|religieuse|"
        "croyance|opinions? politiques?|syndicat|syndical|syndicale|santé|maladie|"
        "médical|médicale|handicap|handicapé|handicapée|enceinte|grossesse|génétique|biométrique|"
        "sexe|identité de genre|sexuel|sexuelle|couleur de peau|état civil|situation matrimoniale|"
        "marié|mariée"
    ),
}
_PATTERNS = {
    language: re.compile(rf"\b(?:{words})(?:e?s)?\b", re.IGNORECASE)
    for language, words in WORDS.items()
}


def refuse_special(fields: Iterable[tuple[str, Text]]) -> None:
    """Refuse unprotected fields whose name or label names a special category.

    Parameters
    ----------
    fields : iterable of (str, Text)
        The name and the label of each unprotected field.

    Raises
    ------
    ValueError
        Naming the first such field.
    """
    for name, label in fields:
        texts = {"en": f"{name.replace('_', ' ')} / {label.en}", "fr": label.fr}
        for language, text in texts.items():
            found = _PATTERNS[language].search(text)
            if found:
                raise ValueError(
                    f"{name} seems to be about “{found[0]}”, which no model or rule may use: "
                    "set protected = true, or name what it is really about"
                )
