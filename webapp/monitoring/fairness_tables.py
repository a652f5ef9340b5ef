"""The tables of fairness: months, and groups that are large enough to hide each person."""

from datetime import date

from sqlalchemy import BigInteger, CheckConstraint, Date, String
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base


class FairnessMonth(Base):
    """A month of a model's decisions whose groups have been counted."""

    __tablename__ = "fairness_months"

    month: Mapped[date] = mapped_column(Date, primary_key=True)  # its first day, in UTC
    product: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(64), primary_key=True)
    decisions: Mapped[int] = mapped_column(BigInteger)  # with or without an attribute
    last_outcome: Mapped[int] = mapped_column(BigInteger)  # up to which all were counted


class FairnessGroup(Base):
    """A group of applicants of a month; the database refuses one that is too small."""

    __tablename__ = "fairness_groups"
    __table_args__ = (
        CheckConstraint("smallest >= 2 AND decisions >= smallest", name="decisions"),
        CheckConstraint("granted BETWEEN 0 AND decisions", name="granted"),
        CheckConstraint("outcomes >= smallest AND outcomes <= granted", name="outcomes"),
        CheckConstraint("(outcomes IS NULL) = (bad IS NULL)", name="known"),
        CheckConstraint("bad BETWEEN 0 AND outcomes", name="bad"),
    )

    month: Mapped[date] = mapped_column(Date, primary_key=True)
    product: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(64), primary_key=True)
    field: Mapped[str] = mapped_column(String(64), primary_key=True)
    group_name: Mapped[str] = mapped_column(String(64), primary_key=True)
    smallest: Mapped[int]  # the product's minimum size
    decisions: Mapped[int] = mapped_column(BigInteger)
    granted: Mapped[int] = mapped_column(BigInteger)
    outcomes: Mapped[int | None] = mapped_column(BigInteger)  # of granted loans; None if too few
    bad: Mapped[int | None] = mapped_column(BigInteger)
