"""Proves one decision: all that an outsider needs to check it, without the rest of the log."""

import base64
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from webapp.audit.checkpoints import first_with, read_checkpoint
from webapp.audit.contents import DECISION, rows_sql, stored_facts
from webapp.audit.notes import VerifierKey
from webapp.audit.reading import Head, as_entry, read_entries
from webapp.columns import MAX_ID
from webapp.failures import NoteRefused, NotFound
from webapp.ledger.chain import START, canonical, chained, facts_text
from webapp.ledger.driver import Driver

FORMAT = "loan-desk-proof/1"
PLACE = "SELECT lane, number FROM audit_log WHERE event = 'decision.made' AND subject = ?"
PREVIOUS = "SELECT hash FROM audit_log WHERE lane = ? AND number = ?"


def prove(
    connection: Connection, number: int, key: VerifierKey, *, checkpoint: Path | None, folder: Path
) -> str:
    """Return a proof as JSON, up to a checkpoint or to the oldest in a folder that covers it.

    Raises NotFound, and NoteRefused if the log does not agree with the checkpoint.
    """
    driver = Driver.of(connection)
    facts, contents, salt = _stored(driver, number)
    places = driver.fetch(PLACE, (f"decision:{number}",))
    if not places:
        raise NotFound(f"decision {number} has no entry in the audit log")
    lane, place = places[0]
    file = checkpoint or first_with(folder, key, lane=lane, number=place)
    if file is None:
        raise NotFound(f"no checkpoint covers decision {number} yet: run flask audit checkpoint")
    head = _head_of(file, key, lane=lane, number=place)
    previous = START if place == 1 else driver.fetch(PREVIOUS, (lane, place - 1))[0][0]
    entry, later = _chain(driver, head, number=place, previous=previous)
    return json.dumps(
        {
            "format": FORMAT,
            "facts": facts,
            "contents": contents,
            "salt": salt,
            "entry": entry,
            "previous": previous.hex(),
            "later": base64.b64encode(later).decode(),
            "checkpoint": file.read_text(),
        },
        indent=1,
        ensure_ascii=False,
    )


def _stored(driver: Driver, number: int) -> tuple[str, list[str | None] | None, str | None]:
    """Return a decision's facts as text, its contents and their salt; None once erased."""
    statement = rows_sql(DECISION, postgresql=driver.postgresql)
    one = statement.replace("ORDER BY", "WHERE t.id = ? ORDER BY")
    rows = driver.fetch(one, (number,)) if 0 < number <= MAX_ID else []
    if not rows:
        raise NotFound(f"there is no decision {number}")
    ends = len(DECISION.facts)
    *contents, salt, missing = rows[0][ends:]
    facts = facts_text(stored_facts(rows[0][:ends]))
    return (facts, None, None) if missing else (facts, contents, salt.hex())


def _head_of(file: Path, key: VerifierKey, *, lane: int, number: int) -> Head:
    for head in read_checkpoint(file, key).heads:
        if head.lane == lane and head.number >= number:
            return head
    raise NoteRefused(f"{file}: it is older than the decision")


def _chain(driver: Driver, head: Head, *, number: int, previous: bytes) -> tuple[str, bytes]:
    """Return the content of an entry, and the digests of the contents of those up to a head."""
    contents: list[Any] = []
    last = number - 1
    while last < head.number and (rows := read_entries(driver, head.lane, after=last)):
        for row in rows[: head.number - last]:
            content = canonical(as_entry(head.lane, row))
            previous = chained(content, previous)
            contents.append(sha256(content).digest() if contents else content)
        last = number - 1 + len(contents)
    if previous != head.hash:
        raise NoteRefused("the log does not agree with the checkpoint: run flask audit verify")
    return contents[0].decode(), b"".join(contents[1:])
