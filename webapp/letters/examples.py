"""Invented letters of every kind, to check templates with."""

from collections.abc import Iterator, Sequence
from datetime import date

from ml.product import formats
from ml.product.texts import Text
from webapp.config import Config
from webapp.letters.drafting import bank_of
from webapp.letters.records import KINDS, Draft, Kind, Language, Regime

DAY = date(2026, 11, 27)
PRODUCT = Text(en="Consumer credit", fr="Crédit à la consommation")
LOAN = Text(en="9,000\u00a0EUR over 60\u00a0months", fr="9\u202f000\u00a0EUR sur 60\u00a0mois")
FROM_REGISTER = Text(en="Adverse credit record: Yes", fr="Incident de crédit enregistré : Oui")
REASONS = (
    Text(
        en="Loan amount is high for the purchase price",
        fr="Le montant du prêt est élevé par rapport au prix d’achat",
    ),
    Text(en="Outstanding debt is high", fr="Les dettes en cours sont élevées"),
    Text(en="There is an adverse credit record", fr="Un incident de crédit est enregistré"),
    Text(en="Monthly income was not given", fr="Le revenu mensuel n’est pas renseigné"),
)


def examples(regime: Regime, language: Language, config: Config) -> Iterator[Draft]:
    """Yield a letter of every kind."""
    for kind in KINDS:
        yield example(kind, regime, language, config)


def example(
    kind: Kind,
    regime: Regime,
    language: Language,
    config: Config,
    *,
    reasons: Sequence[Text] = REASONS,
) -> Draft:
    day = formats.long_day(DAY, language, american=regime == "us")
    refused = kind.startswith("refused")
    return Draft(
        kind=kind,
        regime=regime,
        language=language,
        day=day,
        number=formats.format_integer(12_345, language),
        reference="2026/000123",
        recipient=("A. Martin", "1 rue de l’Exemple", "75000 Paris"),
        product=PRODUCT.in_language(language),
        loan=LOAN.in_language(language),
        decided_on=day,
        reasons=tuple(r.in_language(language) for r in reasons) if refused else (),
        register_fields=(FROM_REGISTER.in_language(language),),
        bank=bank_of(config),
    )


def left_out(draft: Draft, text: str) -> list[str]:
    """Return the variables that a letter must show and that its text does not show."""
    bank, refused = draft.bank, draft.outcome == "refused"
    needed: dict[str, tuple[str, ...]] = {
        "letter.number": (draft.number,),
        "letter.reasons": draft.reasons,
        "letter.bank.name": (bank.name,),
        "letter.bank.contact": bank.contact,
        "letter.bank.register": (bank.register,),
    }
    if refused:
        needed["letter.bank.debt_advice"] = (bank.debt_advice,)
    if refused and draft.regime == "us":
        needed["letter.bank.agency"] = (bank.agency,)
    return [name for name, values in needed.items() if not all(v in text for v in values)]
