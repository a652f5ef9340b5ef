"""The factors of a decision: each share as a bar, with the applicant's answers and typical ones."""

from collections.abc import Mapping
from dataclasses import dataclass

from flask_babel import gettext as _

from ml.explaining.typical import Typical
from ml.product.application import Application
from ml.product.definition import Field, Product
from ml.product.figures import Figure, compute, figures_of
from ml.product.texts import Text
from webapp.decisions.records import StoredReasons
from webapp.decisions.values import entered, figure_text, with_unit
from webapp.language import share as percent, words

ZERO = 100  # the middle of the chart, in its own units
# A share that is smaller than this part of the largest one is folded away, unless it is a principal
# reason. Our own choice: its bar would be at most a few pixels long.
MIN_SHOWN_SHARE = 0.05


@dataclass(frozen=True)
class Answer:
    """The value of a field or ratio, and what is typical of just-granted applications."""

    label: str
    value: str
    typical: str


@dataclass(frozen=True)
class Factor:
    """A factor with its share, which the chart shows to the left or to the right of zero."""

    text: str
    share: float
    x: float
    width: float
    principal: bool
    small: bool
    answers: list[Answer]


def factors_of(
    reasons: StoredReasons,
    inputs: Application,
    product: Product | None = None,
    typical: Mapping[str, Typical] | None = None,
) -> list[Factor]:
    """Return the factors; without the model of the decision, nothing is known to be typical.

    The longest bar fills its side of zero.
    """
    longest = max((abs(r["share"]) for r in reasons), default=0) or 1
    return [
        Factor(
            words(Text(**r["text"])),
            r["share"],
            x=min(ZERO, ZERO + ZERO * r["share"] / longest),
            width=ZERO * abs(r["share"]) / longest,
            principal=r["principal"],
            small=not r["principal"] and abs(r["share"]) < MIN_SHOWN_SHARE * longest,
            answers=_answers(r["field"], inputs, product, typical) if product and typical else [],
        )
        for r in reasons
    ]


def _answers(
    player: str, inputs: Application, product: Product, typical: Mapping[str, Typical]
) -> list[Answer]:
    """Return what an applicant answered, one for each field and ratio of a factor."""
    ratios = {f.quantity.name: f for f in figures_of(product)}
    return [
        _of_field(product.by_name[name], inputs, typical[name])
        if name in product.by_name
        else _of_ratio(ratios[name], inputs, typical[name])
        for name in product.players.get(player, ())
    ]


def _of_field(field: Field, inputs: Application, typical: Typical) -> Answer:
    usual = with_unit(field, typical.high)
    if field.kind != "integer":
        usual = f"{usual} ({percent(typical.share)})"
    elif typical.low != typical.high:
        usual = _between(entered(field, typical.low), usual)
    return Answer(words(field.label), with_unit(field, inputs[field.name]), usual)


def _of_ratio(figure: Figure, inputs: Application, typical: Typical) -> Answer:
    def text(number: float | str | None) -> str:
        if isinstance(number, int | float):
            return figure_text(figure, number)
        return str(_("not known"))

    low, high = text(typical.low), text(typical.high)
    usual = low if low == high else _between(low, high)
    value = compute(figure.quantity, inputs)
    return Answer(words(figure.quantity.label), text(value), usual)


def _between(low: str, high: str) -> str:
    return str(_("%(low)s to %(high)s", low=low, high=high))
