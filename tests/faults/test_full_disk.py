"""The disk of SQLite is full for a while: requests are refused, and nothing is lost or denied."""

import shutil
import urllib.request
from contextlib import suppress
from threading import Event
from time import monotonic

import pytest

from tests.fixtures.machine import disk_in_memory

SHORT_MEBIBYTES, LONG_MEBIBYTES = 48, 512
ROOM = 2**23  # bytes for decisions, without which a long run ends
SHORT_SECONDS = 4.0  # for two fills
BLOCK = b"x" * 2**12
FULL_SECONDS = 1.0
HEALS_SECONDS = 2


@pytest.fixture
def small_disk(tmp_path, started_before, long_form):
    """The instance folder, on a small disk in memory."""
    size = LONG_MEBIBYTES if long_form else SHORT_MEBIBYTES
    with disk_in_memory(tmp_path / "served", mebibytes=size) as disk:
        shutil.copytree(started_before, disk, dirs_exist_ok=True)
        yield disk


def fill(disk):
    with suppress(OSError), (disk / "filler").open("ab", buffering=0) as filler:
        while True:
            filler.write(BLOCK)


def read_one(desk):
    """Return the status of a decision that was acknowledged before."""
    request = desk.load.request("", 0)
    address = f"{request.full_url}/{desk.load.acknowledged[0].id}"
    reading = urllib.request.Request(address, headers=dict(request.header_items()))
    with urllib.request.urlopen(reading, timeout=30) as answer:
        return answer.status


def test_full_disk_loses_nothing_and_heals(small_disk, start_desk, seconds, note):
    until, fills, recovery = monotonic() + seconds(SHORT_SECONDS), 0, 0.0
    started = monotonic()
    with start_desk() as desk:
        with desk.load as load:
            load.first_success_after(monotonic())
            while fills < 2 or monotonic() < until:
                refused, ends = load.refused[503], monotonic() + FULL_SECONDS
                while monotonic() < ends or load.refused[503] == refused:
                    fill(small_disk)
                    assert read_one(desk) == 200
                    assert monotonic() < ends + 10
                (small_disk / "filler").unlink()
                recovery = max(recovery, load.first_success_after(monotonic()))
                fills += 1
                Event().wait(FULL_SECONDS / 2)
                if shutil.disk_usage(small_disk).free < ROOM:
                    break
        found = desk.check()
    assert recovery <= HEALS_SECONDS
    note(
        "disk full and freed, SQLite",
        *(load, found),
        lasted=monotonic() - started,
        faults=fills,
        recovery=recovery,
    )
