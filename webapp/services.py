"""What the service does; the only caller of commit()."""

import hashlib
import json
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from flask_security import hash_password
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from ml.application import Application
from ml.decide import decide as judge
from ml.reasons import Reason
from webapp.database import WRITING
from webapp.extensions import db, model, security
from webapp.metrics import metrics
from webapp.models import WORDS, ApiKey, Decision, DecisionCount, User, now

PAGE = 25
Channel = Literal["desk", "api"]
Stored = list[dict[str, Any]]


class NameTaken(Exception):
    """There is a user or an API key of that name already."""


class NameRefused(Exception):
    """Nobody could sign in by this name."""


class NotFound(Exception):
    """There is no user or API key of that name."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Who or what asked."""

    kind: Literal["user", "api_key"]
    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of decisions, newest first, and where to go on from it."""

    decisions: Sequence[Decision]
    newer: int | None
    older: int | None


@contextmanager
def writing() -> Iterator[None]:
    """Begin a transaction that writes, and commit it unless something is raised."""
    db.session.rollback()  # ends whatever only read so far
    db.session.connection(execution_options=WRITING)
    try:
        yield
        db.session.commit()
    except BaseException:
        db.session.rollback()
        raise


def decide(
    application: Application,
    *,
    operator: Operator,
    channel: Channel,
    submission: str | None = None,
) -> Decision:
    """Score an application and store the decision; when this returns, it is on disk.

    The same submission of the same application by the same operator gives the decision that is
    there already.
    """
    bundle = model.bundle
    with metrics.scoring.time():
        verdict = judge(bundle, application)
    decision = Decision(
        created_at=now(),
        channel=channel,
        user_id=operator.id if operator.kind == "user" else None,
        api_key_id=operator.id if operator.kind == "api_key" else None,
        product=bundle.product.name,
        model=bundle.version,
        probability=verdict.probability,
        threshold=bundle.threshold,
        granted=verdict.granted,
        amount=application[bundle.product.amount],
        inputs=application,
        normalised=verdict.normalised,
        reasons=verdict.reasons and as_stored(verdict.reasons),
        out_of_range=verdict.out_of_range,
        submission=submission and _submission(submission, application, operator),
    )
    started = time.perf_counter()
    try:
        with writing():
            db.session.add(decision)
    except IntegrityError:
        first = _submitted(decision.submission)
        if first is None:
            raise
        return first
    metrics.writing.observe(time.perf_counter() - started)
    metrics.probability.labels(bundle.product.name, bundle.version).observe(verdict.probability)
    return decision


def _submission(token: str, application: Application, operator: Operator) -> str:
    # With the values in it, a form gone back to, changed and sent again is a new application.
    said = json.dumps([operator.kind, operator.id, token, application], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def _submitted(submission: str | None) -> Decision | None:
    if submission is None:
        return None
    found: Decision | None = db.session.scalar(select(Decision).filter_by(submission=submission))
    return found


def as_stored(reasons: Sequence[Reason]) -> Stored:
    """Return reasons as a decision keeps them: what was told, word for word."""
    return [
        {"field": r.field, "share": r.share, "principal": r.principal, "text": r.text.model_dump()}
        for r in reasons
    ]


def find_decision(number: int) -> Decision | None:
    found: Decision | None = db.session.get(Decision, number)
    return found


def list_decisions(*, before: int | None = None, after: int | None = None) -> Page:
    """Return the decisions just older or newer than one, or the newest, at the cost of a page."""
    query = select(Decision).limit(PAGE + 1)
    if after is not None:
        found = list(db.session.scalars(query.where(Decision.id > after).order_by(Decision.id)))
        more, rows = len(found) > PAGE, found[:PAGE][::-1]
        return Page(rows, rows[0].id if more else None, rows[-1].id if rows else None)
    if before is not None:
        query = query.where(Decision.id < before)
    found = list(db.session.scalars(query.order_by(Decision.id.desc())))
    more, rows = len(found) > PAGE, found[:PAGE]
    newer = rows[0].id if before is not None and rows else None
    return Page(rows, newer, rows[-1].id if more else None)


def count_decisions() -> list[tuple[tuple[str, str, str, str], int]]:
    """Return how many decisions there are by product, decision, channel and model.

    The cost does not grow with them.
    """
    c = DecisionCount
    kind = (c.product, c.granted, c.channel, c.model)
    rows = db.session.execute(select(*kind, func.sum(c.count)).group_by(*kind))
    return [
        ((product, WORDS[granted], channel, version), int(count))
        for product, granted, channel, version, count in rows
    ]


def create_user(username: str, password: str) -> None:
    username = _as_signed_in(username)
    try:
        with writing():
            security.datastore.create_user(username=username, password=hash_password(password))
    except IntegrityError:
        raise NameTaken(f"there is a user {username} already") from None


def set_password(username: str, password: str) -> None:
    """Set a user's password; every session of theirs ends."""
    digest = hash_password(password)
    with writing():
        name = _as_signed_in(username)
        user = db.session.scalar(select(User).filter_by(username=name))
        if user is None:
            raise NotFound(f"there is no user {username}")
        user.password = digest
        security.datastore.set_uniquifier(user)


def _as_signed_in(username: str) -> str:
    """Return a name as the sign-in form will read it, which normalises and may refuse it."""
    read: str | None = security.username_util.normalize(username)
    if not read:
        raise NameRefused(f"{username!r} cannot be a user's name")
    return read


def create_first_user(username: str, password: str) -> bool:
    """Create a user if there is none at all, and say whether that was so."""
    digest = hash_password(password)
    try:
        with writing():
            if db.session.scalar(select(User.id).limit(1)) is not None:
                return False
            security.datastore.create_user(username=username, password=digest)
    except IntegrityError:  # another replica was first
        return False
    return True


def create_api_key(name: str) -> str:
    """Create an API key and return it; only its hash is kept."""
    key = f"ld_{secrets.token_urlsafe(32)}"
    try:
        with writing():
            db.session.add(ApiKey(name=name, digest=_digest(key)))
    except IntegrityError:
        raise NameTaken(f"there is an API key {name} already") from None
    return key


def revoke_api_key(name: str) -> None:
    with writing():
        found = db.session.scalar(select(ApiKey).filter_by(name=name, revoked_at=None))
        if found is None:
            raise NotFound(f"there is no API key {name} in use")
        found.revoked_at = now()


def list_api_keys() -> Sequence[ApiKey]:
    return list(db.session.scalars(select(ApiKey).order_by(ApiKey.name)))


def operator_of_key(key: str) -> Operator | None:
    """Return whom an API key stands for, or None for a key that is unknown or revoked."""
    query = select(ApiKey).filter_by(digest=_digest(key), revoked_at=None)
    found = db.session.scalar(query)
    return found and Operator("api_key", found.id, found.name)


def check_database() -> None:
    """Raise unless the database answers with its tables in place."""
    db.session.execute(select(DecisionCount.count).limit(1)).all()


def _digest(key: str) -> str:
    # The key is 256 random bits: a slow hash would protect nothing more.
    return hashlib.sha256(key.encode()).hexdigest()
