"""The tables of operators: people, API keys and the system itself."""

from datetime import datetime
from typing import Any, Literal

from flask_security import UserMixin
from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship, synonym

from webapp.columns import Instant, now
from webapp.extensions import db

Role = Literal["clerk", "reviewer", "analyst", "admin"]

MAX_OPERATOR_ID = 2**31 - 1
MAX_NAME, MAX_FULL_NAME = 64, 120  # characters


class OperatorRow(db.Model):  # type: ignore[misc, name-defined]
    """A person, an API key or the system; other tables refer to it for who did something."""

    __tablename__ = "operators"
    __table_args__ = (
        CheckConstraint("kind IN ('user', 'api_key', 'system')", name="kind"),
        UniqueConstraint("kind", "name"),
    )
    __mapper_args__: dict[str, Any] = {"polymorphic_on": "kind", "polymorphic_identity": "system"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))
    name: Mapped[str] = mapped_column(String(MAX_NAME))
    created_at: Mapped[datetime] = mapped_column(Instant, default=now)


class User(OperatorRow, UserMixin):
    """A person who signs in."""

    __tablename__ = "users"
    __mapper_args__ = {"polymorphic_identity": "user"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(ForeignKey("operators.id"), primary_key=True)
    password: Mapped[str] = mapped_column(String(255))
    password_is_temporary: Mapped[bool]  # the person chooses another at the next sign-in
    active: Mapped[bool] = mapped_column(default=True)
    fs_uniquifier: Mapped[str] = mapped_column(String(64), unique=True)
    full_name: Mapped[str | None] = mapped_column(String(MAX_FULL_NAME))
    totp_secret: Mapped[str | None] = mapped_column(String(255))  # encrypted
    totp_counter: Mapped[int | None]  # of the last code: each is accepted once
    role_rows: Mapped[list["UserRole"]] = relationship(lazy="selectin", viewonly=True)

    username: Mapped[str] = synonym("name")  # as Flask-Security calls it
    # Flask-Security needs this attribute; webapp/people/access.py decides by `role_rows`.
    roles = ()  # type: ignore[assignment]


class UserRole(db.Model):  # type: ignore[misc, name-defined]
    """A role that a person has."""

    __tablename__ = "user_roles"
    __table_args__ = (
        CheckConstraint("role IN ('clerk', 'reviewer', 'analyst', 'admin')", name="role"),
    )

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    role: Mapped[str] = mapped_column(String(8), primary_key=True)


class RecoveryCode(db.Model):  # type: ignore[misc, name-defined]
    """A code that replaces one of the second factor, once."""

    __tablename__ = "recovery_codes"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    # SHA-256; the code itself is not kept.
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)


class SignInAttempt(db.Model):  # type: ignore[misc, name-defined]
    """A try of a password or a code, kept as long as it counts (webapp/people/throttle.py)."""

    __tablename__ = "sign_in_attempts"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, index=True)  # HMAC of the name or address
    created_at: Mapped[datetime] = mapped_column(Instant)
    counted: Mapped[bool]  # not a row that only notes that the audit log has an entry


class ApiKey(OperatorRow):
    """The key of another system."""

    __tablename__ = "api_keys"
    id: Mapped[int] = mapped_column(ForeignKey("operators.id"), primary_key=True)
    # SHA-256; the key itself is not kept.
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)
    created_by: Mapped[int] = mapped_column(ForeignKey("operators.id"))

    __mapper_args__ = {  # noqa: RUF012
        "polymorphic_identity": "api_key",
        "inherit_condition": id == OperatorRow.id,
    }
