"""Compares what is stored with what was acknowledged."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.load import Load, Sent
from tests.fixtures.servers import run_flask
from tests.fixtures.store import ask
from webapp.api.intake import ROUTE
from webapp.ledger.idempotency import key_digest

KEYS = "SELECT digest, decision_id FROM idempotency_keys"
INPUTS = "SELECT decision_id, inputs FROM decision_contents"
COUNT = "SELECT count(*) FROM decisions"
COUNTED = "SELECT coalesce(sum(count), 0) FROM decision_counts"


@dataclass
class Found:
    """What a comparison has found; empty lists are as it must be."""

    stored: int  # decisions
    keys: int  # distinct keys with a decision
    counted: int  # decisions by the database's own counts
    lost: list[str] = field(default_factory=list)  # acknowledged, and not stored
    unequal: list[str] = field(default_factory=list)  # keys with several answers
    changed: list[str] = field(default_factory=list)  # stored with other inputs than sent
    unknown: int = 0  # keys stored, but never sent
    integrity: str = "ok"

    def check(self) -> None:
        """Fail unless nothing is lost, doubled or changed."""
        assert self.lost == []
        self.check_all_but_lost()

    def check_all_but_lost(self) -> None:
        assert (self.unequal, self.changed, self.unknown) == ([], [], 0)
        assert self.stored == self.keys == self.counted
        assert self.integrity == "ok"

    @property
    def duplicates(self) -> int:
        return self.stored - self.keys


def compare(where: str | Path, load: Load, acknowledged: Iterable[Sent] | None = None) -> Found:
    """Compare a database, by its URL or its folder, with what clients have noted."""
    given = load.acknowledged if acknowledged is None else list(acknowledged)
    digests = {key_digest(ROUTE, s.key) for s in load.sent}
    keys = {bytes(digest): number for digest, number in ask(where, KEYS)}
    inputs = dict(ask(where, INPUTS))
    [(stored,)], [(counted,)] = ask(where, COUNT), ask(where, COUNTED)
    found = Found(stored, len(keys), int(counted), unknown=len(keys.keys() - digests))
    for sent in given:
        if keys.get(key_digest(ROUTE, sent.key)) != sent.id:
            found.lost.append(sent.key)
        elif _inputs(inputs[sent.id]) != load.applications[sent.application]:
            found.changed.append(sent.key)
        if len(sent.answers) != 1:
            found.unequal.append(sent.key)
    if isinstance(where, Path):
        [(found.integrity,)] = ask(where, "PRAGMA integrity_check")
    return found


def check_chain(environment: dict[str, str], found: Found) -> None:
    """Fail unless `flask audit verify` finds every decision in the log, and nothing wrong."""
    last = run_flask(environment, "audit", "verify", "--contents")
    assert f"{found.stored:,} decisions" in last, last


def _inputs(stored: Any) -> Any:
    return json.loads(stored) if isinstance(stored, str) else stored
