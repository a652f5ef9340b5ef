"""What a decision depends on beside the application: the switch, and the customer's tries."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from ml.product.conditions import MAX_TRIES, Referral
from webapp.columns import now
from webapp.desk.service import HOLD_SWITCH, is_referring
from webapp.ledger.driver import Driver, Reader

REFERENCES_PER_STATEMENT = 100
# PostgreSQL has room for several thousand locks in all; a batch can have more applications.
MAX_HELD = 500
HOLD = (
    f"{HOLD_SWITCH} UNION ALL "  # noqa: S608 - a constant
    "SELECT pg_advisory_xact_lock(hashtext('loan_desk customer'), key) FROM unnest(?::int[]) AS key"
)
# The newest decisions on a reference, up to a number, that were made since a moment.
RECENT = (
    "SELECT ? AS reference, id FROM (SELECT d.id, d.created_at FROM decision_contents c "
    "JOIN decisions d ON d.id = c.decision_id WHERE c.reference = ? "
    "ORDER BY c.decision_id DESC LIMIT ?) newest WHERE created_at >= ?"
)
# A decision, the one that it corrects, and so on.
EARLIER = (
    "WITH RECURSIVE earlier(id, corrects) AS (SELECT id, corrects FROM decisions WHERE id = ? "
    "UNION ALL SELECT d.id, d.corrects FROM decisions d JOIN earlier e ON d.id = e.corrects)"
)
FIRST = f"{EARLIER} SELECT min(id) FROM earlier"  # noqa: S608 - a constant
# All that are linked to it by corrections, also those that correct the same one.
LINKED = (
    f"{EARLIER}, linked(id) AS (SELECT min(id) FROM earlier UNION ALL "  # noqa: S608 - a constant
    "SELECT d.id FROM decisions d JOIN linked l ON d.corrects = l.id)"
)
CHAIN = (
    f"{LINKED} SELECT d.id, d.created_at >= ?, c.reference FROM linked l "  # noqa: S608
    "JOIN decisions d ON d.id = l.id LEFT JOIN decision_contents c ON c.decision_id = d.id "
    "ORDER BY d.id DESC LIMIT ?"
)


class Applicant(NamedTuple):
    """What shows that applications are one customer's: the reference, or a decision corrected."""

    reference: str | None
    corrects: int | None = None


class Circumstances(NamedTuple):
    """What a decision depends on beside the application and the model, at one moment."""

    referring: bool = False
    tries: int = 0  # earlier decisions on the same customer in a short time


class _Known(NamedTuple):
    """The references of a customer, and the recent decisions that corrections show."""

    references: frozenset[str]
    corrected: frozenset[int] = frozenset()


def hold(driver: Driver, applicants: Sequence[Applicant]) -> None:
    """Let no other transaction decide on the same customers, or switch, until this one ends.

    To be called before the transaction writes. SQLite has one writer at a time. Of a large batch,
    PostgreSQL only holds the switch.
    """
    if driver.postgresql:
        few = applicants if len(applicants) <= MAX_HELD else ()
        names = {name for applicant in few for name in _names(driver, applicant)}
        driver.fetch(HOLD, (sorted(map(_key, names)),))


def read_circumstances(
    reader: Driver | Reader, applicants: Sequence[Applicant], referral: Referral
) -> list[Circumstances]:
    """Return the circumstances of applications, each of which counts as a try for later ones."""
    referring = is_referring(reader)
    if not any(reference or corrects for reference, corrects in applicants):
        return [Circumstances(referring)] * len(applicants)
    since = now() - timedelta(days=referral.tries_days)
    known = [_known(reader, applicant, since) for applicant in applicants]
    references = {reference for one in known for reference in one.references}
    recent = _recent(reader, sorted(references), since, limit=referral.tries)
    together, found = Counter[object](), []
    for applicant, (names, corrected) in zip(applicants, known, strict=True):
        earlier = corrected.union(*(recent[name] for name in names))
        shared = [*names, *([applicant.corrects] if applicant.corrects else [])]
        found.append(
            Circumstances(referring, len(earlier) + max((together[s] for s in shared), default=0))
        )
        together.update(shared)
    return found


def _known(reader: Driver | Reader, applicant: Applicant, since: datetime) -> _Known:
    reference, corrects = applicant
    own = [reference] if reference else []
    if corrects is None:
        return _Known(frozenset(own))
    rows = reader.fetch(CHAIN, (corrects, reader.moment(since), MAX_TRIES))
    return _Known(
        frozenset([*own, *(other for _, _, other in rows if other)]),
        frozenset(number for number, is_recent, _ in rows if is_recent),
    )


def _recent(
    reader: Driver | Reader, references: Sequence[str], since: datetime, *, limit: int
) -> dict[str, set[int]]:
    """Return the recent decisions on each reference, at most as many as matter."""
    recent: defaultdict[str, set[int]] = defaultdict(set)
    for start in range(0, len(references), REFERENCES_PER_STATEMENT):
        some = references[start : start + REFERENCES_PER_STATEMENT]
        statement = " UNION ALL ".join([RECENT] * len(some))
        parameters = [value for r in some for value in (r, r, limit, reader.moment(since))]
        for reference, number in reader.fetch(statement, parameters):
            recent[reference].add(number)
    return recent


def _names(driver: Driver, applicant: Applicant) -> Iterable[str]:
    if applicant.reference:
        yield f"reference {applicant.reference}"
    if applicant.corrects is not None:
        [(first,)] = driver.fetch(FIRST, (applicant.corrects,))
        yield f"corrections of {first}"


def _key(name: str) -> int:
    """Return the key of a lock, a signed number of 32 bits."""
    digest = hashlib.blake2b(name.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big", signed=True)
