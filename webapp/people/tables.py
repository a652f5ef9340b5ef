"""The tables of people and API keys."""

from datetime import datetime

from flask_security import UserMixin
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from webapp.columns import Instant, now
from webapp.extensions import db


class User(db.Model, UserMixin):  # type: ignore[misc, name-defined]
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(64), unique=True)
    password: Mapped[str] = mapped_column(String(255))
    active: Mapped[bool] = mapped_column(default=True)
    fs_uniquifier: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(Instant, default=now)

    # Flask-Security asks for it; there are no roles.
    roles = ()  # type: ignore[assignment]


class ApiKey(db.Model):  # type: ignore[misc, name-defined]
    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    digest: Mapped[str] = mapped_column(
        String(64), unique=True
    )  # SHA-256; the key itself is not kept
    created_at: Mapped[datetime] = mapped_column(Instant, default=now)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)
