"""Tests that random changes to a real audit log are found, and the first bad entry is named."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

import pytest
from sqlalchemy import Connection

from tests.webapp.audit.conftest import unprotected
from webapp.audit.checkpoints import Checkpoint, take_checkpoint
from webapp.audit.reading import as_entry, read_entries
from webapp.audit.verify import follow_ahead, verify
from webapp.ledger.chain import START, canonical, chained
from webapp.ledger.driver import Driver

CHANGES = 1_000
SEED = 20_260_731
COLUMNS = ("created_at", "operator_id", "event", "subject", "facts", "commitment", "hash")
AT = "lane = ? AND number = ?"
Where = tuple[int, int]  # a lane and the first bad entry


@dataclass
class Tamperer:
    """Makes random changes to the log of a connection; each returns what verify must name."""

    connection: Connection
    random: random.Random
    lengths: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lengths = dict(self.sql("SELECT lane, count(*) FROM audit_log GROUP BY lane").all())
        self.columns = {
            name: self.sql(f"SELECT DISTINCT {name} FROM audit_log ORDER BY 1").scalars().all()
            for name in COLUMNS
        }

    def sql(self, statement: str, *values: Any) -> Any:
        mark = "?" if self.connection.dialect.name == "sqlite" else "%s"
        return self.connection.exec_driver_sql(statement.replace("?", mark), values)

    def place(self, *, before_last: int = 0) -> tuple[int, int]:
        """Choose an entry, with at least some entries after it."""
        lane = self.random.choice(sorted(self.lengths))
        return lane, self.random.randint(1, self.lengths[lane] - before_last)

    def edit(self) -> Where:
        """Change one column to a value of another entry, or to a value like it."""
        lane, number = self.place()
        name = self.random.choice(COLUMNS)
        [(old,)] = self.sql(f"SELECT {name} FROM audit_log WHERE {AT}", lane, number).all()
        others = [value for value in [*self.columns[name], *self.like(name, old)] if value != old]
        value = self.random.choice(others)
        self.sql(f"UPDATE audit_log SET {name} = ? WHERE {AT}", value, lane, number)
        return lane, number

    def like(self, name: str, old: Any) -> list[Any]:
        """Return values that nearly equal one."""
        if isinstance(old, bytes):
            place = self.random.randrange(len(old))
            flipped = bytes([old[place] ^ 1 << self.random.randrange(8)])
            return [old[:place] + flipped + old[place + 1 :], old[:-1], old[::-1]]
        if isinstance(old, int):
            return [old + 1, -old]
        if name == "created_at":
            return [self.sql("SELECT max(created_at) FROM decisions").scalar()]
        return (
            [] if old is None else [f"{old} ", old.upper(), old[:-1], f"{old}0", "", f"{old}\u00e9"]
        )

    def delete(self) -> Where:
        """Delete an entry, or several in a row, but not the last one."""
        lane, number = self.place(before_last=1)
        last = self.random.choice([number, self.random.randint(number, self.lengths[lane] - 1)])
        self.sql(
            "DELETE FROM audit_log WHERE lane = ? AND number BETWEEN ? AND ?", lane, number, last
        )
        return lane, number

    def swap(self) -> Where:
        """Exchange two entries."""
        lane, first = self.place(before_last=1)
        second = self.random.randint(first + 1, self.lengths[lane])
        for old, new in ((first, -1), (second, first), (-1, second)):
            self.sql(f"UPDATE audit_log SET number = ? WHERE {AT}", new, lane, old)
        return lane, first

    def move(self) -> Where:
        """Give an entry another number or another lane."""
        lane, number = self.place(before_last=1)
        if self.random.random() < 0.5 or len(self.lengths) == 1:
            new = self.random.choice([0, -number, self.lengths[lane] + self.random.randint(1, 9)])
            self.sql(f"UPDATE audit_log SET number = ? WHERE {AT}", new, lane, number)
            return lane, min(number, new)
        [other] = self.lengths.keys() - {lane}
        end = self.lengths[other] + 1
        self.sql(f"UPDATE audit_log SET lane = ?, number = ? WHERE {AT}", other, end, lane, number)
        return lane, number

    def insert(self) -> Where:
        """Put a copy of an entry between two others, or after the last one."""
        lane, number = self.place()
        place = self.random.randint(1, self.lengths[lane] + 1)
        shift = "UPDATE audit_log SET number = ? - number WHERE lane = ? AND number {}"
        self.sql(shift.format(">= ?"), -1, lane, place)  # n becomes -1 - n, then n + 1
        self.sql(shift.format("< ?"), 0, lane, 0)
        source = number + (number >= place)
        copied = ", ".join(COLUMNS)
        self.sql(
            f"INSERT INTO audit_log (lane, number, {copied}) SELECT lane, ?, {copied} "
            f"FROM audit_log WHERE {AT}",
            *(place, lane, source),
        )
        return lane, place + (number == place)  # then the copy is as the entry was

    def rewrite(self) -> Where:
        """Change an entry, and compute all hashes from it on again: only a checkpoint tells."""
        lane, number = self.place()
        operator = "operator_id = operator_id + 1"
        self.sql(f"UPDATE audit_log SET {operator} WHERE {AT}", lane, number)
        head = START
        for row in read_entries(Driver.of(self.connection), lane, after=0):
            head = chained(canonical(as_entry(lane, row)), head)
            self.sql(f"UPDATE audit_log SET hash = ? WHERE {AT}", head, lane, row[0])
        return lane, self.lengths[lane]

    def cut(self) -> Where:
        """Delete the newest entries: only a checkpoint tells."""
        lane, number = self.place()
        self.sql("DELETE FROM audit_log WHERE lane = ? AND number >= ?", lane, number)
        return lane, number


def found_after(
    tamperer: Tamperer, change: Callable[[], Where], checkpoints: Sequence[Checkpoint] = ()
) -> tuple[Where, dict[int, Any]]:
    """Make a change, verify in one go and by segments, and take the change back."""
    driver = Driver.of(tamperer.connection)
    with tamperer.connection.begin_nested() as savepoint:
        changed = change()
        verified = verify(driver, checkpoints)
        assert verify(driver, checkpoints, follow_ahead(2)) == verified
        savepoint.rollback()
    return changed, {lane: finding.number for lane, finding in verified.findings.items()}


def test_random_changes_are_found(app, log, here):
    with unprotected(app) as connection:
        here(connection)
        tamperer = Tamperer(connection, random.Random(SEED))
        lengths = {lane: length for lane, length in tamperer.lengths.items() if length > 7}
        assert {lane: number for lane, (number, _) in follow_ahead(2).items()} == lengths
        checkpoint = take_checkpoint(Driver.of(connection))
        alone = [*[tamperer.edit] * 4, tamperer.delete, tamperer.swap, tamperer.move]
        alone += [tamperer.insert]
        changes = [(change, ()) for change in alone]
        changes += [(change, (checkpoint,)) for change in (tamperer.rewrite, tamperer.cut)]
        for change, given in islice(cycle(changes), CHANGES):
            (lane, entry), findings = found_after(tamperer, change, given)
            assert findings.get(lane) == entry, (change.__name__, lane, entry, findings)
        assert not verify(Driver.of(connection), [checkpoint]).findings


def test_rewritten_and_cut_logs_are_not_found_without_a_checkpoint(app, log, here):
    with unprotected(app) as connection:
        here(connection)
        tamperer = Tamperer(connection, random.Random(SEED))
        for change in (tamperer.rewrite, tamperer.cut):
            _, findings = found_after(tamperer, change)
            assert findings == {}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_whole_lane_that_is_gone(app, log):
    with unprotected(app) as connection:
        driver = Driver.of(connection)
        checkpoint = take_checkpoint(driver)
        connection.exec_driver_sql("DELETE FROM audit_log WHERE lane = 2")
        assert not verify(driver).findings  # a lane that was opened may be empty
        assert str(verify(driver, [checkpoint]).findings[2]) == (
            f"lane 2, entry 1: it is missing: the checkpoint of {checkpoint.moment} "
            f"has entries up to {checkpoint.heads[1].number}"
        )
        connection.exec_driver_sql("DELETE FROM audit_lanes WHERE id = 2")
        assert str(verify(driver).findings[2]) == "lane 2: it was opened, and is gone"
