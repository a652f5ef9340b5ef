"""Says what a letter on a decision is written from, in its language."""

from collections.abc import Iterable
from datetime import datetime

from ml.product import formats
from ml.product.definition import Field, Product
from webapp.config import Config
from webapp.decisions.records import Contents, Decision
from webapp.letters.records import Bank, Draft, Language, Regime
from webapp.letters.standing import Standing

OVER = {"en": "{amount} over {term}", "fr": "{amount} sur {term}"}


def draft_letter(
    decision: Decision,
    contents: Contents,
    standing: Standing,
    product: Product | None,
    *,
    language: Language,
    recipient: str,
    moment: datetime,
    config: Config,
) -> Draft:
    """Return what a letter says of a decision as it stands."""
    return Draft(
        kind=standing.kind,
        regime=regime_of(product, config),
        language=language,
        day=_day(moment, language, config),
        number=formats.format_integer(decision.id, language),
        reference=contents.reference or "",
        recipient=lines(recipient.splitlines()),
        product=product.label.in_language(language) if product else decision.product,
        loan=_loan(decision, contents, product, language),
        decided_on=_day(decision.created_at, language, config),
        reasons=tuple(reason.in_language(language) for reason in standing.reasons),
        register_fields=_register_fields(contents, product, language),
        bank=bank_of(config),
    )


def regime_of(product: Product | None, config: Config) -> Regime:
    """Return the regime of the settings, or else that of the product's currency."""
    if config.letter_regime:
        return config.letter_regime
    return "us" if product and product.currency == "USD" else "eu"


def bank_of(config: Config) -> Bank:
    return Bank(
        name=config.bank_name,
        address=lines(config.bank_address.split(";")),
        contact=lines(config.letter_contact.split(";")),
        debt_advice=config.letter_debt_advice,
        agency=config.letter_agency,
        register=config.letter_register,
    )


def lines(texts: Iterable[str]) -> tuple[str, ...]:
    """Return lines without those that are empty."""
    return tuple(stripped for text in texts if (stripped := text.strip()))


def _register_fields(
    contents: Contents, product: Product | None, language: Language
) -> tuple[str, ...]:
    """Return the labels of the answers that came from a credit register."""
    given = (
        [f for f in product.inputs if contents.inputs.get(f.name) is not None] if product else []
    )
    return tuple(f.label.in_language(language) for f in given if f.source == "credit_register")


def _loan(
    decision: Decision, contents: Contents, product: Product | None, language: Language
) -> str:
    amount = formats.format_integer(decision.amount, language)
    if product is None:
        return amount
    amount = f"{amount}\u00a0{product.currency}"
    field = product.by_name.get(product.term or "")
    term = contents.inputs.get(product.term or "")
    if field is None or not isinstance(term, int):
        return amount
    return OVER[language].format(amount=amount, term=_with_unit(field, term, language))


def _with_unit(field: Field, number: int, language: Language) -> str:
    unit = field.unit_of(number)
    written = formats.format_integer(number, language)
    return f"{written}\u00a0{unit.in_language(language)}" if unit else written


def _day(moment: datetime, language: Language, config: Config) -> str:
    return formats.long_day(moment.astimezone(config.timezone).date(), language)
