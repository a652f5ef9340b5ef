"""Finds the kind of letter that a decision calls for, and the reasons that the letter gives."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ml.explaining.reasons import MAX_PRINCIPAL_REASONS
from ml.product.texts import Text
from webapp.decisions.records import Contents, Decision
from webapp.failures import NoLetter
from webapp.letters.records import Kind
from webapp.reviews.records import CODES, Review

# Reasons of a reviewer that say something of the applicant. The others name only the bank's own
# policy, or what stands in a note; Regulation B, 12 CFR 1002.9(b)(2), calls that insufficient.
TOLD_CODES = ("affordability", "documents_doubtful", "documents_missing", "customer_history")


class Standing(NamedTuple):
    """The kind of letter that a decision calls for, and the principal reasons of a refusal."""

    kind: Kind
    reasons: tuple[Text, ...]


def standing_of(
    decision: Decision, contents: Contents, reviews: Sequence[Review], *, corrected: bool = False
) -> Standing:
    """Return the kind of letter for a decision, with its reasons; reviews are given newest first.

    Raises NoLetter for a refusal without reasons that may be told, and for a referred decision on
    which nobody is going to decide: its review lapsed, or it has been corrected.
    """
    kind = _kind_of(decision, reviews)
    if kind is None:
        raise NoLetter("lapsed")
    if kind == "referred" and corrected:
        raise NoLetter("corrected")
    reasons: list[Text] = []
    if kind == "refused_policy":
        reasons = _of_rules(contents, "refuse")
    elif kind == "refused":
        reasons = _of_model(contents)
    elif kind == "refused_review":
        reasons = [*_of_reviewer(reviews), *_of_rules(contents), *_of_model(contents)]
    if kind.startswith("refused") and not reasons:
        raise NoLetter("no_reasons")
    return Standing(kind, _first(reasons))


def _kind_of(decision: Decision, reviews: Sequence[Review]) -> Kind | None:
    """Return the kind of letter; None if the review of a referred decision lapsed."""
    closed = _closed(reviews)
    if closed is not None:
        return "granted_review" if closed.final == "granted" else "refused_review"
    if decision.referred:
        return "referred" if any(review.is_open for review in reviews) else None
    if decision.granted:
        return "granted"
    return "refused_policy" if decision.basis == "policy" else "refused"


def _closed(reviews: Sequence[Review]) -> Review | None:
    """Return the last review that left a word."""
    return next((review for review in reviews if review.final is not None), None)


def _of_reviewer(reviews: Sequence[Review]) -> list[Text]:
    closed = _closed(reviews)
    return [CODES["refused"][closed.code]] if closed and closed.code in TOLD_CODES else []


def _of_rules(contents: Contents, *outcomes: str) -> list[Text]:
    """Return the reasons of the policy rules that hold, or of those with these outcomes."""
    return [
        Text(**cause["text"])
        for cause in contents.causes
        if cause["cause"] == "rule" and (not outcomes or cause["then"] in outcomes)
    ]


def _of_model(contents: Contents) -> list[Text]:
    """Return the stored principal reasons of the model's refusal."""
    return [Text(**r["text"]) for r in contents.reasons or () if r["principal"]]


def _first(reasons: Iterable[Text]) -> tuple[Text, ...]:
    """Return as many reasons as help an applicant, each once."""
    once = {reason.en: reason for reason in reasons}
    return tuple(once.values())[:MAX_PRINCIPAL_REASONS]
