"""The tables of the ledger: idempotency keys, and the audit log with its lanes."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.columns import Instant, within_moments
from webapp.extensions import Base
from webapp.ledger.chain import IS_FEW

DIGEST_BYTES = 32  # of SHA-256
SALT_BYTES = 16
# The events that have no table of their own, which auditors list.
FEW = text(IS_FEW)


def salt_length() -> CheckConstraint:
    """Return the constraint of the column `salt`, which stands beside erasable contents."""
    return CheckConstraint(f"length(salt) = {SALT_BYTES}", name="salt")


def _digest_length(column: str) -> CheckConstraint:
    return CheckConstraint(f"length({column}) = {DIGEST_BYTES}", name=column)


class IdempotencyKey(Base):
    """A key that an operator sent with a request, so that the same request again stores nothing.

    No key is stored in clear text, because a client may put anything into it.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        _digest_length("digest"),
        _digest_length("fingerprint"),
        CheckConstraint("(decision_id IS NULL) <> (outcome_id IS NULL)", name="use"),
        {"sqlite_with_rowid": False},
    )

    operator_id: Mapped[int] = mapped_column(ForeignKey("operators.id"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)  # of route and key
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)  # HMAC of what was sent with the key
    language: Mapped[str] = mapped_column(String(2))  # of the texts in the answer
    # What the key was used for.
    decision_id: Mapped[int | None] = mapped_column(ForeignKey("decisions.id"))
    outcome_id: Mapped[int | None] = mapped_column(ForeignKey("outcomes.id"))


class AuditLane(Base):
    """A lane of the audit log: a chain of entries that one transaction at a time makes longer."""

    __tablename__ = "audit_lanes"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class AuditEntry(Base):
    """An entry of the audit log; its hash covers its columns and the hash of the entry before."""

    __tablename__ = "audit_log"
    __table_args__ = (
        CheckConstraint("number > 0", name="number"),
        CheckConstraint(within_moments("created_at"), name="created_at"),
        _digest_length("facts"),
        _digest_length("commitment"),
        _digest_length("hash"),
        Index("ix_audit_log_events", "event", "created_at", sqlite_where=FEW, postgresql_where=FEW),
        Index("ix_audit_log_subjects", "subject", "event", sqlite_where=FEW, postgresql_where=FEW),
        {"sqlite_with_rowid": False},
    )

    lane: Mapped[int] = mapped_column(ForeignKey("audit_lanes.id"), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    created_at: Mapped[datetime] = mapped_column(Instant)
    operator_id: Mapped[int] = mapped_column(ForeignKey("operators.id"))
    event: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(80))
    facts: Mapped[bytes | None] = mapped_column(LargeBinary)  # SHA-256 of what is never erased
    commitment: Mapped[bytes | None] = mapped_column(LargeBinary)  # HMAC of what can be erased
    hash: Mapped[bytes] = mapped_column(LargeBinary)
