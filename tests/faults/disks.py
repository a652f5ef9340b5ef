"""Small file systems for the instance folder, which only the kernel's administrator can mount."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

AS_ROOT = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
EXT4 = ("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0")


def run(*command: object) -> str:
    done = subprocess.run(
        [*AS_ROOT, *map(str, command)], capture_output=True, text=True, check=True
    )
    return done.stdout


@contextmanager
def mounted(folder: Path, *options: object) -> Iterator[Path]:
    """Mount a file system until the block ends.

    Skips the test, also under REQUIRE_ALL, where the kernel does not let us: most containers have
    no such right, and nothing can be installed to get it.
    """
    folder.mkdir(exist_ok=True)
    try:
        run("mount", *options, folder)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", "") or error
        pytest.skip(f"the kernel does not let this user run `mount {options} {folder}`: {reason}")
    try:
        if AS_ROOT:
            run("chown", str(os.getuid()), folder)
        yield folder
    finally:
        run("umount", "--lazy", folder)


def disk_in_memory(folder: Path, *, mebibytes: int) -> AbstractContextManager[Path]:
    """Mount a small disk in memory."""
    return mounted(folder, "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=700", "tmpfs")


@contextmanager
def disk_in_a_file(folder: Path, image: Path, *, mebibytes: int) -> Iterator[Path]:
    """Make an ext4 file system in a file, and mount it.

    What the file holds is what the file system has written to its disk: pages that were written
    but not synced are in the kernel's memory only. Direct input and output keeps the loop device
    from holding back anything itself.
    """
    if shutil.which(EXT4[0]) is None:
        pytest.skip(f"{EXT4[0]} is not installed: apt-get install e2fsprogs")
    with image.open("wb") as file:
        file.truncate(mebibytes * 2**20)
    subprocess.run([*EXT4, image], check=True)
    with mounted(folder, "-t", "ext4", "-o", "loop", image) as disk:
        [device] = run("losetup", "--associated", image, "--output", "NAME", "--noheadings").split()
        run("losetup", "--direct-io=on", device)
        yield disk


@contextmanager
def cut_disk(folder: Path, image: Path, copy: Path) -> Iterator[Path]:
    """Copy the image of a disk as a power cut would leave it, and mount the copy.

    The mount replays the journal of the file system, as it does after a power cut.
    """
    subprocess.run(["cp", "--sparse=always", image, copy], check=True)
    with mounted(folder, "-t", "ext4", "-o", "loop", copy) as disk:
        yield disk
