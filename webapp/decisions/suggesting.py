"""The changes that would have granted a refused application, in sentences."""

from dataclasses import dataclass

from flask_babel import gettext as _

from ml.product.application import Application
from ml.product.definition import Field, Product
from ml.product.figures import compute, instalment
from webapp.decisions import explanations
from webapp.decisions.circumstances import Circumstances
from webapp.decisions.records import Contents, Decision
from webapp.decisions.ruling import circumstantial
from webapp.decisions.trying import say
from webapp.decisions.values import figure_text, with_unit
from webapp.language import integer, listed, words


@dataclass(frozen=True)
class Suggested:
    """The changes that would have granted a refused application, as text.

    ``offers`` holds each suggested loan with its probability, ``without`` a sentence for each field
    whose values alone are not enough, ``lacking`` the missing answers that the policy rules need,
    and ``referring`` why a person would decide on any of these loans at present.
    """

    offers: list[tuple[str, float]]
    without: list[str]
    pairs: bool  # whether the amount was also changed together with another field
    steps: str
    rules: str
    lacking: str
    referring: list[str]


def suggest(
    decision: Decision,
    contents: Contents,
    product: Product | None,
    circumstances: Circumstances,
) -> Suggested | None:
    changes = explanations.find_changes(decision, contents)
    if changes is None or product is None:
        return None
    rules, inputs = product.policy_rules, contents.inputs
    unchecked = [r for r in rules if r.may_hold(inputs) and None in map(inputs.get, r.inputs)]
    needed = dict.fromkeys(name for rule in unchecked for name in rule.inputs)
    return Suggested(
        offers=[
            (offer(product, contents.inputs, s.values), s.probability) for s in changes.suggestions
        ],
        without=[
            _no_value(product.by_name[name], *searched)
            for name, searched in changes.searched.items()
            if not any(name in s.values for s in changes.suggestions if len(s.values) == 1)
        ],
        pairs=len(changes.searched) > 1,
        steps=listed(
            with_unit(product.by_name[name], product.by_name[name].step)
            for name in changes.searched
        ),
        rules=listed(words(rule.label) for rule in unchecked or rules),
        lacking=listed(
            words(product.by_name[name].label) for name in needed if contents.inputs[name] is None
        ),
        referring=[say(cause) for cause in circumstantial(circumstances, product.referral)],
    )


def offer(product: Product, inputs: Application, values: dict[str, int]) -> str:
    """Describe the loan with these values instead of those applied for."""
    amount, term = (product.by_name.get(name or "") for name in (product.amount, product.term))
    loan = {**inputs, **values}
    terms = {f.name: with_unit(f, loan[f.name]) for f in (amount, term) if f and loan[f.name]}
    if term and term.name in terms:
        text = _(
            "A loan of %(amount)s over %(term)s",
            amount=terms[product.amount],
            term=terms[term.name],
        )
    else:
        text = _("A loan of %(amount)s", amount=terms[product.amount])
    others = [(product.by_name[name], value) for name, value in values.items() if name not in terms]
    more = [f"{words(field.label)} {with_unit(field, value)}" for field, value in others]
    in_brackets = ", ".join([*more, *_instalment(product, loan)])
    return f"{text} ({in_brackets})" if in_brackets else str(text)


def _instalment(product: Product, loan: Application) -> list[str]:
    figure = instalment(product)
    number = compute(figure.quantity, loan) if figure else None
    if figure is None or number is None:
        return []
    unit = f"\u00a0{words(figure.unit)}" if figure.unit else ""
    amount = f"{figure_text(figure, number)}{unit}"
    return [str(_("instalment without interest: %(amount)s", amount=amount))]


def _no_value(field: Field, low: int, high: int) -> str:
    return str(
        _(
            "%(label)s: no other value from %(low)s to %(high)s can be suggested on its own",
            label=words(field.label),
            low=integer(low),
            high=with_unit(field, high),
        )
    )
