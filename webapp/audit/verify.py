"""Verifies the audit log: follows the chain of every lane from its first entry to its newest."""

import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from webapp.audit.checkpoints import Checkpoint
from webapp.audit.reading import (
    ENTRIES_PER_QUERY,
    Head,
    hash_of,
    read_contents,
    read_heads,
    snapshot,
    subjects_of,
)
from webapp.ledger.audit import FIRST_LANE
from webapp.ledger.chain import START, chained
from webapp.ledger.driver import Driver, Row
from webapp.processes import spread

WRONG_HASH = "its hash does not match its content or the entry before it"
SEGMENT = 10 * ENTRIES_PER_QUERY  # entries of a lane that a process follows at a time
# Each lane that has entries, with its lowest number: by the index, without reading every entry.
LANES = """
WITH RECURSIVE found (lane) AS (
    SELECT min(lane) FROM audit_log
    UNION ALL
    SELECT (SELECT min(a.lane) FROM audit_log a WHERE a.lane > f.lane)
    FROM found f WHERE f.lane IS NOT NULL
)
SELECT f.lane, (SELECT min(a.number) FROM audit_log a WHERE a.lane = f.lane)
FROM found f WHERE f.lane IS NOT NULL
"""
BEYOND = "SELECT min(number) FROM audit_log WHERE lane = ? AND number > ?"
LAST = "SELECT max(number) FROM audit_log WHERE lane = ? AND number < ?"


class Followed(NamedTuple):
    """The number and the hash of the last entry of a lane that is known to be good."""

    number: int = 0
    head: bytes = START


class _Segment(NamedTuple):
    """The entries of a lane after a number, up to and including the last one."""

    lane: int
    after: int
    last: int


class Finding(NamedTuple):
    """What is wrong with a lane at its first bad entry, or with the lane as a whole.

    The database may hold any value as the number of a lane or an entry.
    """

    lane: Any
    number: Any  # None: the lane as a whole
    reason: str

    def __str__(self) -> str:
        where = f"lane {_shown(self.lane)}"
        if self.number is not None:
            where += f", entry {_shown(self.number)}"
        return f"{where}: {self.reason}"


@dataclass
class Verified:
    """How many entries were read, in how many lanes, and the first bad entry of each lane."""

    entries: int = 0
    lanes: int = 0
    findings: dict[Any, Finding] = field(default_factory=dict)

    def add(self, finding: Finding) -> None:
        """Keep a finding, unless one at an earlier entry of the lane is known."""
        known = self.findings.get(finding.lane)
        if known is None or (known.number is not None and finding.number < known.number):
            self.findings[finding.lane] = finding


def verify(
    driver: Driver,
    checkpoints: Iterable[Checkpoint] = (),
    followed: Mapping[int, Followed] = MappingProxyType({}),
    *,
    after_page: Callable[[], None] = lambda: None,
) -> Verified:
    """Verify every lane in a snapshot, and that checkpoints agree with it.

    The lanes are followed from where `follow_ahead` has come. `after_page` is called every few
    thousand entries, and may raise to end the verification.
    """
    verified = Verified()
    registered = {lane for (lane,) in driver.fetch("SELECT id FROM audit_lanes")}
    opened = {FIRST_LANE, *subjects_of(driver, "lane.opened", kind="lane")}
    lowest: dict[Any, Any] = dict(driver.fetch(LANES))
    for lane in sorted(opened - registered):
        verified.add(Finding(lane, None, "it was opened, and is gone"))
    for lane in [*sorted(registered - opened), *(n for n in lowest if n not in opened)]:
        verified.add(Finding(lane, None, "it was never opened"))
    for lane in (n for n in lowest if n in opened):
        start = followed.get(lane, Followed())
        length, finding = _walk(driver, lane, lowest[lane], start, after_page)
        verified.entries += length
        if finding is not None:
            verified.add(finding)
    verified.lanes = len(registered.union(opened, lowest))
    for checkpoint in checkpoints:
        _compare(driver, checkpoint, verified)
    return verified


def follow(rows: Iterable[Row], number: int, head: bytes) -> tuple[int, bytes, Row | None]:
    """Follow a chain through the rows that come after the entry of a number and a hash.

    Return the number and the hash of the last entry that is as it was written, and the row after
    it if that one is not. The rows are those of `read_contents`.
    """
    for row in rows:
        stored_number, content, stored = row
        if content is None or stored_number != number + 1:
            return number, head, row
        computed = chained(content.encode(), head)
        if computed != stored:
            return number, head, row
        number, head = number + 1, computed
    return number, head, None


def follow_ahead(processes: int) -> dict[int, Followed]:
    """Follow long lanes by several processes; return how far each is as it was written.

    Each process follows segments of lanes, from the stored hash of the entry before. That entry is
    the last one of the segment before, so there its hash is found to be right or wrong.
    """
    segments: list[_Segment] = []
    if processes > 1:
        with snapshot() as connection:
            driver = Driver.of(connection)
            for head in read_heads(driver):
                segments += _segments(driver, head)
    followed: dict[int, Followed] = {}
    with spread(_follow_segment, segments, processes=processes) as results:
        for segment, (before, reached) in zip(segments, results, strict=True):
            if followed.get(segment.lane, Followed()) == Followed(segment.after, before):
                followed[segment.lane] = reached
    return followed


def _segments(driver: Driver, head: Head) -> Iterator[_Segment]:
    """Yield the segments of a long lane up to its head, or up to where entries are missing."""
    if not isinstance(head.number, int) or head.number <= SEGMENT:
        return
    for after in range(0, head.number, SEGMENT):
        if after and not hash_of(driver, head.lane, after):
            return
        yield _Segment(head.lane, after, min(after + SEGMENT, head.number))


def _follow_segment(segment: _Segment) -> tuple[bytes, Followed]:
    """Return the hash before a segment, and how far the segment is as it was written."""
    lane, number, last = segment
    with snapshot() as connection:
        driver = Driver.of(connection)
        before = head = hash_of(driver, lane, number) if number else START
        while rows := read_contents(driver, lane, after=number, last=last):
            number, head, bad = follow(rows, number, head)
            if bad is not None:
                break
    return before, Followed(number, head)


def _walk(
    driver: Driver,
    lane: int,
    lowest: Any,  # noqa: ANN401
    followed: Followed,
    after_page: Callable[[], None],
) -> tuple[int, Finding | None]:
    """Return how many entries of a lane are good, and what is wrong with the next one."""
    if not isinstance(lowest, int) or lowest < 1:
        return 0, _finding(lane, lowest, 1)
    number, head = followed
    if number and hash_of(driver, lane, number) != head:  # changed meanwhile
        number, head = Followed()
    while rows := read_contents(driver, lane, after=number):
        number, head, bad = follow(rows, number, head)
        if bad is not None:
            return number, _finding(lane, bad[0], number + 1)
        after_page()
    [(beyond,)] = driver.fetch(BEYOND, (lane, number))
    return number, None if beyond is None else _finding(lane, beyond, number + 1)


def _finding(lane: int, number: Any, expected: int) -> Finding:  # noqa: ANN401
    """Return what is wrong with a row in the place of an entry."""
    if number == expected:
        return Finding(lane, expected, WRONG_HASH)
    if isinstance(number, int) and number > expected:
        missing = "it is" if number == expected + 1 else f"it and all up to {number - 1} are"
        return Finding(lane, expected, f"{missing} missing")
    return Finding(lane, number, "entries have whole numbers from 1 on")


def _compare(driver: Driver, checkpoint: Checkpoint, verified: Verified) -> None:
    """Find the lanes that are shorter than at a checkpoint, or have another entry there."""
    for head in checkpoint.heads:
        if hash_of(driver, head.lane, head.number) == head.hash:
            continue
        [(last,)] = driver.fetch(LAST, (head.lane, head.number + 1))
        length = int(last or 0)
        if length < head.number:
            there = f"the checkpoint of {checkpoint.moment} has entries up to {head.number}"
            verified.add(Finding(head.lane, length + 1, f"it is missing: {there}"))
        else:
            reason = f"its hash is not the one in the checkpoint of {checkpoint.moment}"
            verified.add(Finding(head.lane, head.number, reason))


def _shown(value: object) -> str:
    return reprlib.repr(value)
