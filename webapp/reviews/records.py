"""Reviews and notes as immutable records, and the reasons with which a review is closed."""

from datetime import date, datetime, time, timedelta
from typing import Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo

from ml.product.texts import Text
from webapp.columns import DecisionValue, ModelDecision

Cause = Literal["referred", "staff", "applicant"]
Word = Literal["model", "policy", "review"]  # whose word a review looks at
Result = Literal["upheld", "overturned_model", "overturned_policy", "overturned_review", "lapsed"]
NoteKind = Literal["note", "statement", "closing"]
Closing = Literal["granted", "refused", "lapsed"]
CLOSINGS: tuple[Closing, ...] = get_args(Closing)
MAX_NOTE_LENGTH = 4_000

CODES: dict[Closing, dict[str, Text]] = {
    "granted": {
        "documents_seen": Text(en="Additional documents seen", fr="Pièces complémentaires vues"),
        "income_verified": Text(en="Income verified", fr="Revenus vérifiés"),
        "security": Text(
            en="Additional security or a guarantor", fr="Garantie ou caution supplémentaire"
        ),
        "existing_customer": Text(
            en="Known as a reliable customer", fr="Client connu pour sa fiabilité"
        ),
        "policy_exception": Text(
            en="Exception from the lending policy", fr="Dérogation à la politique de crédit"
        ),
        "entry_error": Text(en="A value was entered wrongly", fr="Une valeur a été mal saisie"),
        "confirmed": Text(
            en="Checked, nothing speaks against it", fr="Vérifié, rien ne s’y oppose"
        ),
        "other": Text(en="Another reason, in the note", fr="Autre motif, dans la note"),
    },
    "refused": {
        "affordability": Text(
            en="The instalment cannot be afforded", fr="La mensualité n’est pas supportable"
        ),
        "documents_doubtful": Text(
            en="Doubts about documents or identity", fr="Doutes sur les pièces ou l’identité"
        ),
        "documents_missing": Text(en="Documents were not provided", fr="Pièces non fournies"),
        "against_policy": Text(
            en="Against the lending policy", fr="Contraire à la politique de crédit"
        ),
        "customer_history": Text(
            en="Difficulties with earlier loans", fr="Difficultés sur des prêts antérieurs"
        ),
        "entry_error": Text(en="A value was entered wrongly", fr="Une valeur a été mal saisie"),
        "confirmed": Text(en="Checked, nothing new", fr="Vérifié, rien de nouveau"),
        "other": Text(en="Another reason, in the note", fr="Autre motif, dans la note"),
    },
    "lapsed": {
        "withdrawn": Text(
            en="The applicant withdrew the application", fr="Le demandeur a retiré sa demande"
        ),
        "replaced": Text(
            en="Replaced by a corrected application", fr="Remplacée par une demande corrigée"
        ),
        "erased": Text(en="The application has been erased", fr="La demande a été effacée"),
    },
}
EXPLAINED = "other"  # the code that needs a note


class ReviewedDecision(NamedTuple):
    """What matters to a review of its decision."""

    id: int
    decision: str
    model_decision: DecisionValue
    by_policy: bool  # a policy rule refuses it, also if everything is referred at present
    final: DecisionValue | None  # of the last review that was closed, if there is one
    corrected_by: int | None = None  # the last decision that corrects it, if there is one
    erased: bool = False

    @property
    def can_have_a_word(self) -> bool:
        """Whether a review can close with a final word on it."""
        return not self.erased and self.corrected_by is None

    @property
    def word(self) -> DecisionValue:
        """What an open review upholds or overturns.

        Of a referred decision, the refusal of a policy rule, or else the model's word.
        """
        if self.final is not None:
            return self.final
        if self.decision != "referred":
            return self.decision  # type: ignore[return-value]
        return "refused" if self.by_policy else self.model_decision

    @property
    def whose(self) -> Word:
        """Whose word that is."""
        if self.final is not None:
            return "review"
        return "policy" if self.by_policy else "model"

    def result(self, closing: Closing) -> Result:
        """Return the result of a review that is closed in a way."""
        if closing == "lapsed":
            return "lapsed"
        return "upheld" if closing == self.word else f"overturned_{self.whose}"  # type: ignore[return-value]


OfPeople = Literal["open", "closed", "claimed", "not_yours", "own", "not_a_reviewer"]
OfDecision = Literal["erased", "not_erased", "no_note", "corrected", "known"]
Reason = OfPeople | OfDecision


class ReviewRefused(Exception):
    """A step in a review that is not possible; says why, and who or what stands in the way."""

    def __init__(self, reason: Reason, *, name: str = "") -> None:
        super().__init__(reason)
        self.reason, self.name = reason, name


class Note(NamedTuple):
    """A note on a review; its text is None once it is erased."""

    id: int
    created_at: datetime
    operator: str
    kind: NoteKind
    text: str | None


class Person(NamedTuple):
    """An operator who can be given a review."""

    id: int
    name: str


class Clock(NamedTuple):
    """The bank's day and time zone, and the number of days in which a review is to be closed."""

    today: date
    days: int
    zone: ZoneInfo

    @property
    def overdue_before(self) -> datetime:
        """The moment before which a review was opened that is overdue, unless its day was set."""
        return datetime.combine(self.today - timedelta(days=self.days), time.min, self.zone)


class Review(NamedTuple):
    """A review as it is stored, with the names of its operators."""

    id: int
    decision_id: int
    opened_at: datetime
    opened_by: str
    cause: Cause
    claimed_by_id: int | None
    claimed_by: str | None
    claimed_at: datetime | None
    snoozed_until: date | None
    due_on: date | None
    closed_at: datetime | None
    closed_by: str | None
    result: Result | None
    final: ModelDecision | None
    code: str | None

    @property
    def is_open(self) -> bool:
        return self.closed_at is None

    def opened_on(self, clock: Clock) -> date:
        return self.opened_at.astimezone(clock.zone).date()

    def due(self, clock: Clock) -> date:
        """Return the day on which it is due, by default so many days after it was opened."""
        return self.due_on or self.opened_on(clock) + timedelta(days=clock.days)

    def is_snoozed(self, today: date) -> bool:
        return self.snoozed_until is not None and self.snoozed_until > today


def code_text(review: Review) -> Text | None:
    """Return the text of the code with which a review was closed."""
    texts = CODES["lapsed" if review.final is None else review.final]
    return texts.get(review.code or "")
