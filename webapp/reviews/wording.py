"""The words for reviews in the language of the page: causes, results, choices, refusals."""

from typing import Any

from flask_babel import lazy_gettext

from ml.product.texts import Text
from webapp.language import words
from webapp.reviews.queue import Group
from webapp.reviews.records import (
    CLOSINGS,
    CODES,
    Closing,
    NoteKind,
    Review,
    ReviewedDecision,
    ReviewRefused,
    code_text,
)

CAUSES = {
    "referred": lazy_gettext("referred when it was decided"),
    "staff": lazy_gettext("sent by staff"),
    "applicant": lazy_gettext("the applicant asked for it"),
}
NOTES: dict[NoteKind, Any] = {
    "note": lazy_gettext("Note on the review"),
    "statement": lazy_gettext("Statement of the applicant"),
}
RESULTS = {
    "upheld": lazy_gettext("upheld"),
    "overturned_model": lazy_gettext("the model was overturned"),
    "overturned_policy": lazy_gettext("the policy rule was overturned"),
    "overturned_review": lazy_gettext("the earlier review was overturned"),
    "lapsed": lazy_gettext("closed without a final word"),
}
GROUPS: dict[Group | str, Any] = {
    "mine": lazy_gettext("Yours"),
    "overdue": lazy_gettext("Overdue"),
    "soon": lazy_gettext("Due soon"),
    "later": lazy_gettext("Later"),
    "snoozed": lazy_gettext("Snoozed"),
}
REFUSALS = {
    "open": lazy_gettext(
        "This decision is in review already. Add what you have to say to the review as a note."
    ),
    "erased": lazy_gettext(
        "The applicant’s data have been erased meanwhile. The review can only be closed without a "
        "final word."
    ),
    "closed": lazy_gettext("%(name)s has closed this review meanwhile. Nothing was changed."),
    "claimed": lazy_gettext("%(name)s has claimed this review meanwhile. Nothing was changed."),
    "not_yours": lazy_gettext("You no longer have this review. Nothing was changed."),
    "own": lazy_gettext(
        "%(name)s entered this decision or one that it corrects, also if under another account or "
        "by an API key. Somebody else must review it."
    ),
    "not_erased": lazy_gettext(
        "The applicant’s data have not been erased. Choose the reason that applies."
    ),
    "no_note": lazy_gettext(
        "The applicant’s data have been erased, so no note can be kept. Close the review without "
        "one."
    ),
    "corrected": lazy_gettext(
        "Decision %(name)s corrects this one, and is the one to review. A review of this one can "
        "only be closed without a final word."
    ),
    "known": lazy_gettext(
        "An outcome of this loan is recorded, so it was paid out. It can no longer be refused."
    ),
    "not_a_reviewer": lazy_gettext("%(name)s does not review."),
}
TAKEN = lazy_gettext("%(name)s has this review now. Nothing was changed.")
# The choices of a final word, by what is reviewed.
MODEL_GRANTS = {
    "granted": lazy_gettext("Grant the loan, as the model says"),
    "refused": lazy_gettext("Refuse the loan, against the model"),
}
MODEL_REFUSES = {
    "refused": lazy_gettext("Refuse the loan, as the model says"),
    "granted": lazy_gettext("Grant the loan, against the model"),
}
POLICY_REFUSES = {
    "refused": lazy_gettext("Refuse the loan, as the policy rule says"),
    "granted": lazy_gettext("Grant the loan, against the policy rule"),
}
GRANTED = {
    "granted": lazy_gettext("Uphold: the loan stays granted"),
    "refused": lazy_gettext("Overturn: refuse the loan"),
}
REFUSED = {
    "refused": lazy_gettext("Uphold: the loan stays refused"),
    "granted": lazy_gettext("Overturn: grant the loan"),
}
LAPSES = {"lapsed": lazy_gettext("Close without a final word")}


def closings_of(decision: ReviewedDecision) -> dict[str, Any]:
    """Return the choices of a final word on a decision, that which upholds first."""
    if not decision.can_have_a_word:
        return LAPSES
    referred = decision.decision == "referred" and decision.final is None
    refuses = POLICY_REFUSES if decision.by_policy else MODEL_REFUSES
    granted, refused = (MODEL_GRANTS, refuses) if referred else (GRANTED, REFUSED)
    return {**(granted if decision.word == "granted" else refused), **LAPSES}


def codes_of(decision: ReviewedDecision) -> dict[Closing, dict[str, Text]]:
    """Return the reasons to choose from, by the final word that they are for."""
    closings = [closing for closing in CLOSINGS if closing in closings_of(decision)]
    return {
        closing: {c: t for c, t in CODES[closing].items() if c != "erased" or decision.erased}
        for closing in closings
    }


def likely_closing(decision: ReviewedDecision) -> dict[str, str]:
    """Return what to choose in the form at first, where nearly always one thing fits."""
    if decision.can_have_a_word:
        return {}
    return {"closing": "lapsed", "code": "erased" if decision.erased else "replaced"}


def refusal_text(refused: ReviewRefused) -> str:
    """Say why a step was refused, and who or what stands in the way."""
    text = TAKEN if refused.reason == "not_yours" and refused.name else REFUSALS[refused.reason]
    return str(text).replace("%(name)s", refused.name)


def reason_text(review: Review) -> str:
    """Return the reason with which a review was closed."""
    text = code_text(review)
    return words(text) if text else ""
