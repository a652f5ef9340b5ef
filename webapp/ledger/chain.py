"""The audit log's chain: the canonical form of an entry, its hash, digests and commitments."""

import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple

FORMAT = "loan-desk-audit/1"
_COMPACT = json.JSONEncoder(separators=(",", ":"))
START = bytes(32)  # in the place of the hash before a lane's first entry

Event = Literal[
    "decision.made",
    "trial.made",
    "outcome.recorded",
    "letter.made",
    "outcomes.imported",
    "batch.decided",
    "training_data.exported",
    "export.started",
    "export.ended",
    "review.opened",
    "review.claimed",
    "review.released",
    "review.assigned",
    "review.snoozed",
    "review.due",
    "review.noted",
    "review.closed",
    "protected.given",
    "contents.erased",
    "retention.applied",
    "bundle.activated",
    "user.created",
    "user.roles_set",
    "user.full_name_set",
    "user.password_set",
    "user.enabled",
    "user.disabled",
    "sign_in.accepted",
    "sign_in.refused",
    "sign_in.throttled",
    "second_factor.on",
    "second_factor.off",
    "second_factor.accepted",
    "second_factor.refused",
    "second_factor.recovery_codes",
    "second_factor.recovery_used",
    "api_key.created",
    "api_key.revoked",
    "lane.opened",
    "desk.referring",
    "desk.deciding",
]

# The SQL of the index of events that have no table of their own; a query that repeats it uses it.
IS_FEW = "event NOT IN ('decision.made', 'trial.made', 'outcome.recorded', 'protected.given')"


class NewEntry(NamedTuple):
    """An event to add to the audit log.

    `subject` is ASCII without quotes or backslashes, such as `decision:12`.
    """

    operator_id: int
    event: Event
    subject: str
    facts: bytes | None = None
    commitment: bytes | None = None


class Entry(NamedTuple):
    """A stored entry of the audit log, with its moment in the form of `iso`."""

    lane: int
    number: int
    created_at: str
    operator_id: int
    event: str
    subject: str
    facts: bytes | None
    commitment: bytes | None
    hash: bytes


def canonical(entry: Entry) -> bytes:
    """Return the content of an entry: a compact JSON array of its columns but the hash."""
    lane, number, created_at, operator_id, event, subject, facts, commitment, _ = entry
    return (
        f'["{FORMAT}",{lane},{number},"{created_at}",{operator_id},"{event}","{subject}",'
        f"{_hex(facts)},{_hex(commitment)}]"
    ).encode()


def chained(content: bytes, previous: bytes) -> bytes:
    """Return the hash of an entry from its content and the hash of the entry before it.

    It covers only the digest of the content: a proof that leads from one entry to a later one
    discloses nothing else about the entries between them.
    """
    return hashlib.sha256(previous + hashlib.sha256(content).digest()).digest()


def link(
    entries: Sequence[NewEntry], *, lane: int, number: int, created_at: str, previous: bytes
) -> list[Entry]:
    """Return the entries that follow the entry of that number and hash in a lane.

    `created_at` is their moment, in the form of `iso`.
    """
    linked = []
    for new in entries:
        number += 1
        entry = Entry(
            lane,
            number,
            created_at,
            new.operator_id,
            new.event,
            new.subject,
            new.facts,
            new.commitment,
            b"",
        )
        previous = chained(canonical(entry), previous)
        linked.append(entry._replace(hash=previous))
    return linked


@lru_cache(maxsize=1)  # all entries of a transaction have the same moment
def iso(moment: datetime) -> str:
    """Return a moment as the canonical form has it: in UTC, with microseconds."""
    naive = moment.astimezone(UTC).replace(tzinfo=None)
    return f"{naive.isoformat(timespec='microseconds')}Z"


def facts_text(facts: Sequence[Any]) -> str:
    """Return facts as a compact JSON array."""
    return _COMPACT.encode(facts)


def facts_digest(facts: Sequence[Any]) -> bytes:
    """Return the SHA-256 of facts, in the form of `facts_text`."""
    return hashlib.sha256(facts_text(facts).encode()).digest()


def commitment_to(contents: Sequence[str | None], salt: bytes) -> bytes:
    """Return the HMAC-SHA-256, with the salt as its key, of JSON texts, one a line."""
    lines = "\n".join("null" if text is None else text for text in contents)
    return hmac.digest(salt, lines.encode(), "sha256")


def _hex(value: bytes | None) -> str:
    return "null" if value is None else f'"{value.hex()}"'
