"""Letters as immutable records: what a template writes one from, and one as it is stored."""

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple, get_args

from pydantic import Field, dataclasses

from webapp.columns import MAX_ID
from webapp.decisions.records import STRICT, Moment

Kind = Literal[
    "granted", "refused", "refused_policy", "referred", "granted_review", "refused_review"
]
Regime = Literal["eu", "us"]
Language = Literal["en", "fr"]
KINDS, REGIMES = get_args(Kind), get_args(Regime)


@dataclass(frozen=True, slots=True)
class Bank:
    """What the settings say of the bank. Texts of several lines are tuples of lines."""

    name: str
    address: tuple[str, ...]
    contact: tuple[str, ...]  # where applicants ask, complain and contest
    debt_advice: str
    agency: str  # the federal agency of the notice in Regulation B
    register: str  # the credit register or consumer reporting agency


@dataclass(frozen=True, slots=True)
class Draft:
    """All that a template may say, as texts in the letter's language: the variable `letter`."""

    kind: Kind
    regime: Regime
    language: Language
    day: str  # of the letter
    number: str  # of the decision
    reference: str  # the bank's own; empty if there is none
    recipient: tuple[str, ...]  # name and address; empty for a label or a window
    product: str
    loan: str  # amount and term
    decided_on: str
    reasons: tuple[str, ...]  # the principal reasons of a refusal
    register_fields: tuple[str, ...]  # answers from a credit register that the decision used
    bank: Bank

    @property
    def outcome(self) -> Literal["granted", "refused", "referred"]:
        outcome: Literal["granted", "refused", "referred"]
        outcome = self.kind.partition("_")[0]  # type: ignore[assignment]  # each kind begins so
        return outcome

    @property
    def basis(self) -> Literal["model", "policy", "review"]:
        """What the outcome is based on: the model, a policy rule, or a review by a person."""
        basis: Literal["model", "policy", "review"]
        basis = self.kind.partition("_")[2] or "model"  # type: ignore[assignment]
        return basis


class Rendered(NamedTuple):
    """A letter's text as HTML, with the template that it was made from."""

    text: str
    template: str
    digest: str  # SHA-256 of the template's file, in hexadecimal


@dataclasses.dataclass(config=STRICT, frozen=True, slots=True)
class Letter:
    """The facts of a letter as they are stored."""

    id: Annotated[int, Field(gt=0, lt=MAX_ID)]
    created_at: Moment
    decision_id: int
    number: Annotated[int, Field(gt=0)]
    operator: str  # its name
    kind: Kind
    language: Language
    regime: Regime
    template: str
    digest: str
