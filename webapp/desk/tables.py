"""The table of the desk's switch."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from webapp.columns import Instant, within_moments
from webapp.extensions import Base

MAX_REASON = 500


class DeskSwitch(Base):
    """A change between deciding and referring everything; the last row applies. Never changed."""

    __tablename__ = "desk_switches"
    __table_args__ = (
        CheckConstraint(within_moments("created_at"), name="created_at"),
        CheckConstraint(f"length(reason) BETWEEN 1 AND {MAX_REASON}", name="reason"),
    )

    # One more than the last: two changes at once cannot both follow it.
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    created_at: Mapped[datetime] = mapped_column(Instant)
    operator_id: Mapped[int] = mapped_column(ForeignKey("operators.id"))
    referring: Mapped[bool]
    reason: Mapped[str] = mapped_column(String(MAX_REASON))
