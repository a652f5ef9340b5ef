"""The table of refused files."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.columns import MAX_ID, Identifier, Instant, within_moments
from webapp.extensions import Base


class RefusedFile(Base):
    """A file with wrong rows: where and why, but none of its values. Deleted after a day."""

    __tablename__ = "refused_files"
    __table_args__ = (
        CheckConstraint(f"id > 0 AND id < {MAX_ID}", name="id"),
        CheckConstraint(within_moments("created_at"), name="created_at"),
        CheckConstraint("kind IN ('batch', 'outcomes')", name="kind"),
    )

    id: Mapped[int] = mapped_column(Identifier, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(Instant, index=True)
    operator_id: Mapped[int] = mapped_column(ForeignKey("operators.id"))
    kind: Mapped[str] = mapped_column(String(8))  # what it should have been
    name: Mapped[str] = mapped_column(String(120))
    wrong: Mapped[str] = mapped_column(Text)  # JSON of `service.Wrong`
