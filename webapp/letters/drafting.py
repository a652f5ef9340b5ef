"""Fills in a draft: all that a letter on a decision may say, in its language."""

from collections.abc import Iterable
from datetime import datetime

from flask_babel import force_locale, gettext as _

from ml.product import formats
from ml.product.definition import Product
from webapp.config import Config
from webapp.decisions.records import Contents, Decision
from webapp.decisions.values import with_unit
from webapp.language import current, integer, words
from webapp.letters.records import Bank, Draft, Kind, Language, Regime
from webapp.letters.standing import Standing


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
    """Return what a letter on a decision may say; `standing` is its kind with the reasons."""
    regime = regime_of(product, config)
    with force_locale(language):
        return Draft(
            kind=standing.kind,
            regime=regime,
            language=language,
            day=_day(moment, regime, config),
            number=integer(decision.id),
            reference=contents.reference or "",
            recipient=lines(recipient.splitlines()),
            product=words(product.label) if product else decision.product,
            loan=_loan(decision, contents, product),
            decided_on=_day(decision.created_at, regime, config),
            reasons=tuple(words(reason) for reason in standing.reasons),
            register_fields=_register_fields(contents, product, standing.kind),
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


def _register_fields(contents: Contents, product: Product | None, kind: Kind) -> tuple[str, ...]:
    """Return what the decision used of a credit register, such as "Adverse credit record: Yes"."""
    if product is None:
        return ()
    colon = "\u00a0: " if current() == "fr" else ": "
    used = _of_refusing_rules(contents, product) if kind == "refused_policy" else product.by_name
    return tuple(
        f"{words(f.label)}{colon}{with_unit(f, contents.inputs[f.name])}"
        for f in product.inputs
        if f.source == "credit_register" and f.name in used
        if contents.inputs.get(f.name) is not None
    )


def _of_refusing_rules(contents: Contents, product: Product) -> set[str]:
    """Return the names of the fields of the policy rules that refuse."""
    refusing = {cause["name"] for cause in contents.causes if cause["then"] == "refuse"}
    return {name for r in product.policy_rules if r.name in refusing for name in r.fields}


def _loan(decision: Decision, contents: Contents, product: Product | None) -> str:
    amount = integer(decision.amount)
    if product is None:
        return amount
    amount = f"{amount}\u00a0{product.currency}"
    field = product.by_name.get(product.term or "")
    if field is None or contents.inputs.get(field.name) is None:
        return amount
    term = with_unit(field, contents.inputs[field.name])
    return str(_("%(amount)s over %(term)s", amount=amount, term=term))


def _day(moment: datetime, regime: Regime, config: Config) -> str:
    day = moment.astimezone(config.timezone).date()
    return formats.long_day(day, current(), american=regime == "us")
