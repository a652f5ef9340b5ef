"""What the print sheet of a decision shows, in the language of the page."""

from dataclasses import dataclass

from sqlalchemy import select

from ml.product.definition import Product
from ml.product.texts import Text
from webapp.decisions.records import Contents, Decision, causes_of
from webapp.decisions.tables import DecisionRow
from webapp.decisions.values import with_unit
from webapp.decisions.writing import FACTS
from webapp.extensions import db
from webapp.language import words
from webapp.ledger.chain import facts_digest, iso
from webapp.reviews.records import Review
from webapp.reviews.search import list_reviews
from webapp.serving.served import model


@dataclass(frozen=True)
class Weight:
    """A stored reason: its text, its share, and whether it is a principal one."""

    text: str
    share: float
    principal: bool


@dataclass(frozen=True)
class Sheet:
    """A decision for the file; answers, reasons and reference are gone once they are erased."""

    product: Product | None
    reference: str | None
    answers: list[tuple[str, str]]  # label and value
    causes: list[str]  # of a decision that is not the model's alone
    reasons: list[Weight]
    reviews: list[Review]  # those that left a final word, the newest first
    erased: bool
    digest: str  # SHA-256 of the facts, as in the audit log


def sheet_of(decision: Decision, contents: Contents | None) -> Sheet:
    bundle = model.of(decision.model)
    product = bundle.product if bundle else model.product(decision.product)
    fields = product.by_name if product else {}
    inputs = contents.inputs if contents else {}
    reasons = (contents.reasons if contents else None) or []
    return Sheet(
        product=product,
        reference=contents.reference if contents else None,
        answers=[
            (words(fields[n].label), with_unit(fields[n], v)) if n in fields else (n, str(v))
            for n, v in inputs.items()
        ],
        reasons=[Weight(words(Text(**r["text"])), r["share"], r["principal"]) for r in reasons],
        causes=[words(Text(**c["text"])) for c in causes_of(decision, contents)]
        if contents
        else [],
        reviews=[review for review in list_reviews(decision.id) if review.final is not None],
        erased=contents is None,
        digest=_digest(decision.id),
    )


def _digest(number: int) -> str:
    """Return the digest of a decision's facts, which its entry in the audit log holds."""
    columns = DecisionRow.__table__.c
    row = db.session.execute(
        select(*(columns[name] for name in FACTS)).where(columns.id == number)
    ).one()
    return facts_digest([row.id, iso(row.created_at), *row[2:]]).hex()
