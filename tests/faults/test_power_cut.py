"""A power cut under load: what SQLite's disk holds at that moment has all that was acknowledged."""

import os
import shutil
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from time import monotonic

import pytest

from tests.faults.disks import cut_disk, disk_in_a_file
from tests.faults.stored import check_chain, compare

DISK_MEBIBYTES = 512
MIN_CUTS, MAX_CUTS = 2, 100  # the disk has room for the decisions between so many
BETWEEN_SECONDS = 0.5
STOPPED_SECONDS = 10  # until a process has stopped at the latest
# Starts gunicorn; each connection to SQLite syncs less than the service asks for.
NORMAL = """
import runpy, sys
from sqlalchemy import event
from sqlalchemy.pool import Pool

def weaken(connection, *_):
    connection.execute("PRAGMA synchronous=NORMAL")

event.listen(Pool, "checkout", weaken)
sys.argv = ["gunicorn"]
runpy.run_module("gunicorn", run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def image(tmp_path):
    return tmp_path / "disk.img"


@pytest.fixture
def disk(tmp_path, started_before, image):
    """The instance folder, on a disk in a file."""
    with disk_in_a_file(tmp_path / "served", image, mebibytes=DISK_MEBIBYTES) as folder:
        shutil.copytree(started_before, folder, dirs_exist_ok=True)
        subprocess.run(["sync"], check=True)
        yield folder


@contextmanager
def stopped(processes):
    """Stop processes until the block ends."""
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        until = monotonic() + STOPPED_SECONDS
        while any(not is_stopped(p) for p in processes):
            assert monotonic() < until
            Event().wait(0.01)
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


def is_stopped(process):
    """Return whether every thread of a process has stopped."""
    states = [
        (task / "stat").read_text().rpartition(") ")[2][0]
        for task in Path(f"/proc/{process}/task").iterdir()
    ]
    return set(states) == {"T"}


def cut(desk, image, tmp_path):
    """Cut the power for a copy of the disk; return what the copy holds, and what it lacks."""
    with stopped([desk.server.process.pid, *desk.server.process.children()]):
        acknowledged = desk.load.acknowledged
        with cut_disk(tmp_path / "cut", image, tmp_path / "cut.img") as disk:
            found = compare(disk, desk.load, acknowledged)
            found.check_all_but_lost()
            check_chain({**desk.server.environment, "LOAN_INSTANCE": str(disk)}, found)
    return found


def cuts(desk, image, tmp_path, *, more):
    """Cut the power while more is wanted; return what each copy holds and lacks."""
    found = []
    with desk.load as load:
        load.first_success_after(monotonic())
        while len(found) < MIN_CUTS or (len(found) < MAX_CUTS and more(found)):
            Event().wait(BETWEEN_SECONDS)
            found.append(cut(desk, image, tmp_path))
    return found


def test_power_cut_loses_nothing(disk, image, start_desk, tmp_path, seconds, note):
    lasts = seconds(0)
    until = monotonic() + lasts
    with start_desk() as desk:
        copies = cuts(desk, image, tmp_path, more=lambda _: monotonic() < until)
        found = desk.check()
    assert [copy.lost for copy in copies if copy.lost] == []
    note("power cut, SQLite", desk.load, found, lasted=lasts, faults=len(copies))


def test_power_cut_loses_what_is_not_synced(disk, image, start_desk, tmp_path, note):
    """The test above can find a loss: without the service's sync there is one.

    Not at every cut, because another program can have synced all disks a moment before.
    """
    with start_desk(arguments=["-c", NORMAL]) as desk:
        copies = cuts(desk, image, tmp_path, more=lambda found: not any(c.lost for c in found))
        desk.check()
    worst = max(copies, key=lambda copy: len(copy.lost))
    assert worst.lost
    name = "control: power cut with synchronous=NORMAL, the worst copy"
    note(name, desk.load, worst, lasted=0, faults=len(copies))
