"""What the machine does: CPU time and memory of processes, and whether others use the CPUs."""

import contextlib
import os
import re
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
KERNEL_THREADS = 2  # process id of their parent, except in a container
# Cores that other processes may use during a measurement. Below this, the rounding of the CPU
# times of a few seconds can already be seen.
QUIET_CORES = 0.1
QUIET_DISK_MIB = 1.0  # that may be written in a second, such as the journal of the file system
QUIET_SECONDS = 1.0
SECTOR_BYTES = 512

Processes = dict[int, tuple[int, float]]


def processes() -> Processes:
    """Return the parent and the CPU seconds, with those of ended children, of each process."""
    found = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            words = file.read_text().rpartition(")")[2].split()
            found[int(file.parent.name)] = int(words[1]), sum(map(int, words[11:15]))
    return {pid: (parent, ticks / TICKS_PER_SECOND) for pid, (parent, ticks) in found.items()}


def descendants(roots: Collection[int], table: Processes) -> set[int]:
    """Return the processes with these ids, and all that descend from them."""
    pids = set(roots) & table.keys()
    while more := {pid for pid, (parent, _) in table.items() if parent in pids} - pids:
        pids |= more
    return pids


def pss_mib(pids: Collection[int]) -> float:
    """Return the memory of processes; a page that several of them share counts once."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += sum(int(kib) for kib in re.findall(r"^Pss:\s+(\d+)", text, flags=re.M))
    return total / 1024


def kernel_threads() -> list[int]:
    """Return the parent of all kernel threads, if this process can see it."""
    name = Path(f"/proc/{KERNEL_THREADS}/comm")
    return [KERNEL_THREADS] if name.exists() and name.read_text() == "kthreadd\n" else []


def disk_written_mib() -> float:
    """Return what all disks have written so far."""
    lines = [line.split() for line in Path("/proc/diskstats").read_text().splitlines()]
    disks = [words for words in lines if (Path("/sys/block") / words[2]).exists()]
    return sum(int(words[9]) for words in disks) * SECTOR_BYTES / 2**20


@dataclass(frozen=True)
class Usage:
    """CPU seconds used so far, at a moment."""

    at: float
    machine: float  # by everything, including other virtual machines
    kernel: float  # by kernel threads, such as those that write to the disk
    ours: float  # by the given processes
    bench: float  # by this process and the load generators that have ended


def usage(roots: Collection[int] = ()) -> Usage:
    """Return what has been used by the machine, and by the given processes and their children."""
    words = Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
    user, nice, system, _, _, irq, softirq, steal = map(int, words[:8])
    table = processes()
    times = os.times()
    return Usage(
        at=time.monotonic(),
        machine=(user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND,
        kernel=sum(table[pid][1] for pid in descendants(kernel_threads(), table)),
        ours=sum(table[pid][1] for pid in descendants(roots, table)),
        bench=times.user + times.system + times.children_user + times.children_system,
    )


def foreign_cores(before: Usage, after: Usage) -> float:
    """Return how many cores other processes used on average between two moments."""
    used = after.machine - before.machine
    for name in ("kernel", "ours", "bench"):
        used -= getattr(after, name) - getattr(before, name)
    return max(0.0, used / (after.at - before.at))


def wait_for_quiet(patience: float, roots: Collection[int] = ()) -> bool:
    """Wait until others leave CPUs and disks alone for a second; return False if they do not."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        before, written = usage(roots), disk_written_mib()
        time.sleep(QUIET_SECONDS)
        cores, mib = foreign_cores(before, usage(roots)), disk_written_mib() - written
        if cores < QUIET_CORES and mib < QUIET_DISK_MIB * QUIET_SECONDS:
            return True
    return False
