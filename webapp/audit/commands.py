"""The `audit` and `erase` commands."""

import signal
import threading
import time
from pathlib import Path

import click
from flask.cli import AppGroup, with_appcontext

from webapp.audit.checkpoints import (
    Checkpoint,
    folder_of,
    missing_head,
    newest_in,
    read_checkpoint,
    signing_key,
    take_checkpoint,
    text_of,
    write_checkpoint,
)
from webapp.audit.contents import Compared, compare
from webapp.audit.erase import clean, erase, still_kept, with_reference
from webapp.audit.notes import VerifierKey, read_verifier_key
from webapp.audit.prove import prove
from webapp.audit.reading import snapshot
from webapp.audit.replay_commands import PROCESSES
from webapp.audit.retention import apply_retention
from webapp.audit.verify import Verified, follow_ahead, verify
from webapp.commands import clear_errors, echo_printable, format_decision_count
from webapp.extensions import db, settings
from webapp.failures import NoteRefused
from webapp.ledger.driver import Driver
from webapp.ledger.transaction import unit_of_work

STANDARD_OUTPUT = Path("-")
KEY = click.option(
    "--key",
    "key",
    metavar="NAME+ID+BASE64",
    help="The key that signed the checkpoints; by default that of this instance.",
)


audit = AppGroup("audit", help="Verify the audit log, sign checkpoints of it, prove decisions.")


@audit.command("verify")
@click.option(
    "--checkpoint",
    "files",
    type=click.Path(path_type=Path),
    metavar="FILE",
    multiple=True,
    help="A checkpoint that the log must agree with; can be repeated.",
)
@click.option("--contents", is_flag=True, help="Compare all that is stored with its entry.")
@KEY
@PROCESSES
def verify_log(files: tuple[Path, ...], contents: bool, key: str | None, processes: int) -> None:
    """Verify the audit log: name the first bad entry of each lane.

    Without a checkpoint, missing newest entries are not found. The exit code is 0 if all is well.
    """
    started = time.perf_counter()
    with clear_errors():
        checkpoints = [read_checkpoint(file, _verifier(key)) for file in files]
        followed = follow_ahead(processes)
        with snapshot() as connection:
            verified = verify(Driver.of(connection), checkpoints, followed)
            seconds = time.perf_counter() - started
            for finding in verified.findings.values():
                echo_printable(str(finding))
            compared = compare(connection, echo_printable) if contents else Compared()
    echo_printable(_entries_summary(verified, seconds))
    if contents:
        echo_printable(_contents_summary(compared))
    click.get_current_context().exit(1 if verified.findings or compared.wrong else 0)


@audit.command("key")
def print_key() -> None:
    """Print the public key of the checkpoints; the first use makes the keys."""
    with clear_errors():
        click.echo(signing_key(settings().instance, make=True).verifier)


@audit.command("checkpoint")
@click.option(
    "--out",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="PATH",
    help="A new file, an existing folder, or - for the standard output; "
    "by default the folder checkpoints of the instance.",
)
@click.option(
    "--every", type=click.IntRange(min=1), metavar="SECONDS", help="Repeat until stopped."
)
def sign_checkpoint(out: Path | None, every: int | None) -> None:
    """Sign the newest entry of every lane, and print the name of the new file."""
    if every is None:
        with clear_errors():
            _sign(out)
        return
    if out is not None and not out.is_dir():
        raise click.UsageError("with --every, --out is an existing folder")
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    while not stopped.is_set():
        try:
            with clear_errors():
                _sign(out, only_new=True)
        except click.ClickException as error:  # the database may be back the next time
            error.show()
        stopped.wait(every)


@audit.command("prove")
@click.argument("number", type=int)
@click.option(
    "--checkpoint",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="By default the oldest one of this instance that covers the decision.",
)
@KEY
def print_proof(number: int, file: Path | None, key: str | None) -> None:
    """Print what an outsider needs to check the decision NUMBER, as JSON.

    It holds the contents of the decision, unless they are erased.
    """
    folder = folder_of(settings().instance)
    with clear_errors():
        verifier = _verifier(key)
        with snapshot() as connection:
            proof = prove(connection, number, verifier, checkpoint=file, folder=folder)
        click.echo(proof)


@click.command("erase")
@click.option(
    "--decision",
    "numbers",
    type=int,
    metavar="NUMBER",
    multiple=True,
    help="The number of a decision; can be repeated.",
)
@click.option(
    "--reference",
    "references",
    metavar="REFERENCE",
    multiple=True,
    help="The bank's own reference, of all decisions that have it; can be repeated.",
)
@click.option(
    "--past-retention",
    is_flag=True,
    help="All decisions that are older than LOAN_RETENTION_DAYS; run it once a day.",
)
@with_appcontext
def erase_contents(
    numbers: tuple[int, ...], references: tuple[str, ...], *, past_retention: bool
) -> None:
    """Erase the personal contents of decisions, for ever."""
    if past_retention == bool(numbers or references):
        raise click.UsageError("give either --decision and --reference, or --past-retention")
    if past_retention:
        _apply_retention(settings().retention_days)
        return
    with clear_errors():
        with unit_of_work() as transaction:
            found = [n for r in references for n in with_reference(transaction, r)]
            erased = erase(transaction, [*numbers, *found])
            kept = still_kept(transaction, list(erased))
        for number, had_contents in erased.items():
            state = "are erased" if had_contents else "had been erased before"
            echo_printable(f"decision {number}: its contents {state}")
        for number in kept:
            echo_printable(f"decision {number}: linked to these by corrections, and not erased")
        if problem := clean(db.engine):
            raise click.ClickException(
                f"{problem}: the database's files may still hold what was erased. "
                "Erase the same decisions again when nothing else reads the database."
            )


def _apply_retention(days: int) -> None:
    if not days:
        click.echo("LOAN_RETENTION_DAYS is 0: nothing is erased by its age")
        return
    with clear_errors():
        erased = sum(apply_retention(days))
        count = format_decision_count(erased)
        echo_printable(f"older than {days:,} days: the contents of {count} are erased")
        if erased and (problem := clean(db.engine)):
            raise click.ClickException(
                f"{problem}: the database's files may still hold what was erased"
            )


def _verifier(key: str | None) -> VerifierKey:
    if key is None:
        return signing_key(settings().instance).verifier
    try:
        return read_verifier_key(key)
    except NoteRefused as error:
        raise NoteRefused(f"--key: {error}") from None


def _sign(out: Path | None, *, only_new: bool = False) -> None:
    """Sign a checkpoint, unless the log does not agree with the newest one in its folder."""
    instance = settings().instance
    key = signing_key(instance, make=True)
    place = out or folder_of(instance)
    if out is None:
        place.mkdir(mode=0o700, exist_ok=True)
    with snapshot() as connection:
        driver = Driver.of(connection)
        checkpoint = take_checkpoint(driver)
        newest = newest_in(place, key.verifier) if place.is_dir() else None
        missing = missing_head(driver, newest) if newest else None
    if newest and missing:
        raise NoteRefused(
            f"entry {missing.number} of lane {missing.lane} is not the one in the checkpoint "
            f"of {newest.moment}: run flask audit verify --checkpoint"
        )
    if only_new and newest and newest.heads == checkpoint.heads:
        return
    _write(checkpoint, key.sign(text_of(checkpoint)), place)


def _write(checkpoint: Checkpoint, note: str, place: Path) -> None:
    if place == STANDARD_OUTPUT:
        click.echo(note, nl=False)
        return
    try:
        click.echo(write_checkpoint(note, checkpoint, place))
    except FileExistsError:
        raise NoteRefused(f"{place}: it exists, and no checkpoint is overwritten") from None


def _entries_summary(verified: Verified, seconds: float) -> str:
    entries, lanes, bad = verified.entries, verified.lanes, len(verified.findings)
    return (
        f"{entries:,} {'entry' if entries == 1 else 'entries'} verified "
        f"in {lanes:,} lane{'' if lanes == 1 else 's'}, "
        f"{seconds:.1f} s, {entries / seconds:,.0f} entries/s: "
        + (f"{bad:,} bad lane{'' if bad == 1 else 's'}" if bad else "all well")
    )


def _contents_summary(compared: Compared) -> str:
    trials = f"{compared.trials:,} trial{'' if compared.trials == 1 else 's'}"
    outcomes = f"{compared.outcomes:,} outcome{'' if compared.outcomes == 1 else 's'}"
    parts = [f"{format_decision_count(compared.decisions)}, {trials} and {outcomes} match"]
    if compared.letters:
        parts.append(f"{compared.letters:,} letter{'' if compared.letters == 1 else 's'} too")
    if compared.reviews:
        parts.append(f"{compared.reviews:,} steps of reviews too")
    if compared.batches:
        parts.append(f"{compared.batches:,} batch{'' if compared.batches == 1 else 'es'} too")
    if compared.answers:
        parts.append(f"{compared.answers:,} voluntary answers too")
    parts.append(f"{compared.wrong:,} {'does' if compared.wrong == 1 else 'do'} not")
    if compared.erased:
        parts.append(f"the contents of {compared.erased:,} are erased")
    return ", ".join(parts)
