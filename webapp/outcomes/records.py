"""Outcomes as immutable records, and the rules for a new one."""

from datetime import date
from typing import Annotated, Literal, NamedTuple, get_args

from pydantic import Field
from pydantic.dataclasses import dataclass

from ml.product.errors import FieldError
from ml.product.texts import LANGUAGES, Text
from webapp.columns import MAX_ID, DecisionValue
from webapp.decisions.records import STRICT, Moment

OutcomeValue = Literal["good", "bad"]
Correction = Literal["mistake", "changed", "dispute"]
OUTCOMES, CORRECTIONS = get_args(OutcomeValue), get_args(Correction)

MESSAGES = {
    "outcome": Text(en="Enter good or bad.", fr="Indiquez good ou bad."),
    "date": Text(en="Enter a date as YYYY-MM-DD.", fr="Indiquez une date : AAAA-MM-JJ."),
    "reason": Text(
        en="Enter mistake, changed or dispute, or nothing.",
        fr="Indiquez mistake, changed ou dispute, ou rien.",
    ),
    "unknown": Text(
        en="This field is not part of an outcome.", fr="Ce champ ne fait pas partie d’une issue."
    ),
    "id": Text(en="Enter the number of a decision.", fr="Indiquez le numéro d’une décision."),
    "key": Text(
        en="Enter either an id or a reference.", fr="Indiquez soit un id, soit une reference."
    ),
    "values": Text(
        en="The row must have {count} values.", fr="La ligne doit avoir {count} valeurs."
    ),
    "unknown_id": Text(
        en="There is no decision with this number.", fr="Aucune décision n’a ce numéro."
    ),
    "unknown_reference": Text(
        en="No decision has this reference, or its contents have been erased.",
        fr="Aucune décision n’a cette référence, ou son contenu a été effacé.",
    ),
    "several": Text(
        en="Several granted loans have this reference: {ids}. Enter the id of one.",
        fr="Plusieurs prêts accordés ont cette référence : {ids}. Indiquez l’id de l’un d’eux.",
    ),
    "twice": Text(
        en="Line {line} is about the same decision.",
        fr="La ligne {line} concerne la même décision.",
    ),
    "refused": Text(
        en="This loan was refused. Only a granted loan has an outcome.",
        fr="Ce prêt a été refusé. Seul un prêt accordé a une issue.",
    ),
    "in_review": Text(
        en="This loan is not granted yet: a review has to decide.",
        fr="Ce prêt n’est pas encore accordé : une révision doit en décider.",
    ),
    "early": Text(
        en="The date is before the decision, which was made on {day}.",
        fr="La date est antérieure à la décision, prise le {day}.",
    ),
    "future": Text(en="The date is in the future.", fr="La date est dans le futur."),
    "correction": Text(
        en="The outcome {outcome}, known on {day}, is recorded already. "
        "A correction needs a reason: mistake, changed or dispute.",
        fr="L’issue {outcome}, connue le {day}, est déjà enregistrée. "
        "Une correction demande un motif : mistake, changed ou dispute.",
    ),
    "first": Text(
        en="There is no outcome to correct. Leave the reason out.",
        fr="Il n’y a pas d’issue à corriger. N’indiquez pas de motif.",
    ),
}


class NewOutcome(NamedTuple):
    """An outcome to record; a correction has a reason."""

    decision_id: int
    outcome: OutcomeValue
    known_on: date
    reason: Correction | None = None


@dataclass(config=STRICT, frozen=True, slots=True)
class Outcome:
    """An outcome as it is stored."""

    id: Annotated[int, Field(gt=0, lt=MAX_ID)]
    created_at: Moment
    decision_id: int
    number: Annotated[int, Field(gt=0)]
    operator: str  # its name
    outcome: OutcomeValue
    known_on: date
    reason: Correction | None

    @property
    def good(self) -> bool:
        return self.outcome == "good"


class Loan(NamedTuple):
    """What matters here of a decision: its day in the bank's time zone, and the last outcome."""

    decided_on: date
    decision: DecisionValue  # the final word
    last: Outcome | None


def is_known(new: NewOutcome, loan: Loan) -> bool:
    """Return whether an outcome is the last one of the loan already."""
    last = loan.last
    return last is not None and (last.outcome, last.known_on) == (new.outcome, new.known_on)


def check(new: NewOutcome, loan: Loan, *, today: date) -> list[FieldError]:
    """Return what is wrong with an outcome that is not known yet."""
    if loan.decision != "granted":
        return [error("outcome", "in_review" if loan.decision == "referred" else "refused")]
    errors = []
    if new.known_on < loan.decided_on:
        errors.append(error("date", "early", day=loan.decided_on.isoformat()))
    elif new.known_on > today:
        errors.append(error("date", "future"))
    if loan.last is None and new.reason is not None:
        errors.append(error("reason", "first"))
    elif loan.last is not None and new.reason is None:
        last = loan.last
        errors.append(
            error("reason", "correction", outcome=last.outcome, day=last.known_on.isoformat())
        )
    return errors


def error(field: str, code: str, **details: str) -> FieldError:
    """Return an error with the message of its code."""
    message = {lang: getattr(MESSAGES[code], lang).format(**details) for lang in LANGUAGES}
    return FieldError(field, code, Text(**message))
