"""A disk in a file, and what it holds after a power cut."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fixtures.machine import mounted, need, run_as_root

AT_ONCE = "lazy_itable_init=0,lazy_journal_init=0"  # nothing is written later by the kernel


@contextmanager
def disk_in_a_file(folder: Path, image: Path, *, mebibytes: int) -> Iterator[Path]:
    """Make an ext4 file system in a file, and mount it.

    What the file holds is what the file system has written to its disk: pages that were written
    but not synced are in the kernel's memory only. Direct input and output keeps the loop device
    from holding back anything itself.
    """
    make = need("mkfs.ext4", "apt-get install e2fsprogs")
    with image.open("wb") as file:
        file.truncate(mebibytes * 2**20)
    subprocess.run([make, "-q", "-F", "-E", AT_ONCE, image], check=True)
    with mounted(folder, "-t", "ext4", "-o", "loop", image) as disk:
        found = run_as_root("losetup", "--associated", image, "--output", "NAME", "--noheadings")
        [device] = found.split()
        run_as_root("losetup", "--direct-io=on", device)
        yield disk


@contextmanager
def cut_disk(folder: Path, image: Path, copy: Path) -> Iterator[Path]:
    """Copy the image of a disk as a power cut would leave it, and mount the copy.

    The mount replays the journal of the file system, as it does after a power cut.
    """
    subprocess.run(["cp", "--sparse=always", image, copy], check=True)
    with mounted(folder, "-t", "ext4", "-o", "loop", copy) as disk:
        yield disk
