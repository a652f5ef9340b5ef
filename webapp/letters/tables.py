"""The tables of letters: immutable facts and erasable texts."""

from datetime import datetime

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKey,
    LargeBinary,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from webapp.columns import MAX_ID, Identifier, Instant, within_moments
from webapp.extensions import Base
from webapp.ledger.tables import salt_length

DIGEST_LENGTH = 64  # of SHA-256 in hexadecimal


class LetterRow(Base):
    """The facts of a letter, none of them personal; never changed and never deleted."""

    __tablename__ = "letters"
    __table_args__ = (
        CheckConstraint(f"id > 0 AND id < {MAX_ID}", name="id"),
        CheckConstraint(within_moments("created_at"), name="created_at"),
        CheckConstraint("number > 0", name="number"),
        CheckConstraint(
            "kind IN ('granted', 'refused', 'refused_policy', 'referred', 'granted_review', "
            "'refused_review')",
            name="kind",
        ),
        CheckConstraint("language IN ('en', 'fr')", name="language"),
        CheckConstraint("regime IN ('eu', 'us')", name="regime"),
        CheckConstraint(f"length(digest) = {DIGEST_LENGTH}", name="digest"),
        UniqueConstraint("decision_id", "number"),
    )

    id: Mapped[int] = mapped_column(Identifier, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(Instant)
    decision_id: Mapped[int] = mapped_column(ForeignKey("decisions.id"))
    number: Mapped[int]  # among those of the decision
    operator_id: Mapped[int] = mapped_column(ForeignKey("operators.id"))
    kind: Mapped[str] = mapped_column(String(16))
    language: Mapped[str] = mapped_column(String(2))
    regime: Mapped[str] = mapped_column(String(2))
    template: Mapped[str] = mapped_column(String(64))  # its path in the folder of the templates
    digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH))  # SHA-256 of the template's file


class LetterContents(Base):
    """The text of a letter, as HTML in a JSON string. Personal: never changed, erased as a whole.

    The audit log holds a commitment to it, which proves nothing without the salt.
    """

    __tablename__ = "letter_contents"
    __table_args__ = (
        CheckConstraint("json_valid(text) AND json_type(text) = 'text'", name="text").ddl_if(
            dialect="sqlite"
        ),
        CheckConstraint("json_typeof(text) = 'string'", name="text").ddl_if(dialect="postgresql"),
        salt_length(),
    )

    letter_id: Mapped[int] = mapped_column(ForeignKey("letters.id"), primary_key=True)
    text: Mapped[str] = mapped_column(JSON)
    salt: Mapped[bytes] = mapped_column(LargeBinary)
