"""Checkpoints: signed notes about the newest entries of all lanes, kept outside the database."""

import base64
import os
import re
import secrets
from bisect import bisect_left
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from webapp.audit.notes import SigningKey, VerifierKey, opened, read_signing_key
from webapp.audit.reading import Head, hash_of, read_heads
from webapp.columns import now
from webapp.failures import InvalidSetting, NoteRefused
from webapp.ledger.chain import iso
from webapp.ledger.driver import Driver
from webapp.secret_files import kept_secret, make_secret

ORIGIN = "loan-desk/audit"  # the first line of every checkpoint, and the name of every key
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
HEAD = re.compile(r"([1-9]\d{0,8}) ([1-9]\d{0,17}) ([A-Za-z0-9+/]{43}=)", re.ASCII)
FILE = re.compile(r"\d{8}T\d{6}\.\d{6}Z\.note", re.ASCII)  # its moment without - and :


class Checkpoint(NamedTuple):
    """The newest entry of each lane at a moment."""

    moment: str  # in the form of `chain.iso`
    heads: tuple[Head, ...]


def signing_key(instance: Path, *, make: bool = False) -> SigningKey:
    """Return the key of this instance; if there is none, make it or raise NoteRefused."""
    file = instance / "audit_key"
    if make and not file.exists():
        make_secret(file, SigningKey(ORIGIN, os.urandom(32)).secret())
    elif not file.exists():
        raise NoteRefused(f"{file}: there is no key yet: give the key with --key")
    try:
        return read_signing_key(kept_secret(file))
    except NoteRefused as error:
        raise InvalidSetting(f"{file}: {error}") from None


def take_checkpoint(driver: Driver) -> Checkpoint:
    """Return the newest entries of all lanes, in a snapshot."""
    return Checkpoint(iso(now()), tuple(read_heads(driver)))


def missing_head(driver: Driver, checkpoint: Checkpoint) -> Head | None:
    """Return the first entry of a checkpoint that is no longer in the log."""
    return next(
        (h for h in checkpoint.heads if hash_of(driver, h.lane, h.number) != h.hash),
        None,
    )


def text_of(checkpoint: Checkpoint) -> str:
    """Return the text of a checkpoint, to be signed."""
    heads = (f"{h.lane} {h.number} {base64.b64encode(h.hash).decode()}" for h in checkpoint.heads)
    return "".join(f"{line}\n" for line in (ORIGIN, checkpoint.moment, *heads))


def read_checkpoint(file: Path, key: VerifierKey) -> Checkpoint:
    """Return the checkpoint in a file once its signature has been checked; raises NoteRefused."""
    try:
        return parse(opened(file.read_text(), key))
    except NoteRefused as error:
        raise NoteRefused(f"{file}: {error}") from None
    except OSError as error:
        raise NoteRefused(f"{file}: {error.strerror}") from None
    except ValueError:
        raise NoteRefused(f"{file}: not a text") from None


def parse(text: str) -> Checkpoint:
    """Return the checkpoint in the text of a note; raises NoteRefused."""
    origin, _, rest = text.partition("\n")
    moment, *lines = rest.removesuffix("\n").split("\n")
    found = [match.groups() for line in lines if (match := HEAD.fullmatch(line))]
    if origin != ORIGIN or not MOMENT.fullmatch(moment) or len(found) != len(lines):
        raise NoteRefused("not a checkpoint")
    heads = (Head(int(lane), int(number), base64.b64decode(h)) for lane, number, h in found)
    return Checkpoint(moment, tuple(heads))


def folder_of(instance: Path) -> Path:
    """Return the folder of an instance's checkpoints."""
    return instance / "checkpoints"


def write_checkpoint(note: str, checkpoint: Checkpoint, place: Path) -> Path:
    """Write a note to a new file, or to one in a folder that is named by its moment.

    Raises FileExistsError: no checkpoint is ever overwritten.
    """
    file = place
    if place.is_dir():
        file = place / f"{re.sub('[-:]', '', checkpoint.moment)}.note"
    # A complete file is linked to its name: nobody ever reads half a checkpoint.
    new = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with new.open("x") as created:
            created.write(note)
            created.flush()
            os.fsync(created.fileno())
        os.link(new, file)
    finally:
        new.unlink(missing_ok=True)
    return file


def files_in(folder: Path) -> list[Path]:
    """Return the files of checkpoints in a folder, oldest first."""
    with suppress(FileNotFoundError):
        return sorted(file for file in folder.iterdir() if FILE.fullmatch(file.name))
    return []


def newest_in(folder: Path, key: VerifierKey) -> Checkpoint | None:
    """Return the newest checkpoint in a folder; raises NoteRefused."""
    files = files_in(folder)
    return read_checkpoint(files[-1], key) if files else None


def first_with(folder: Path, key: VerifierKey, *, lane: int, number: int) -> Path | None:
    """Return the file of the oldest checkpoint in a folder that covers an entry.

    Raises NoteRefused.
    """

    def covers(file: Path) -> bool:
        heads = read_checkpoint(file, key).heads
        return any(head.lane == lane and head.number >= number for head in heads)

    files = files_in(folder)
    place = bisect_left(files, True, key=covers)
    return files[place] if place < len(files) else None
