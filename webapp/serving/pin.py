"""The pin: the verified copy of a bundle that gunicorn's master hands to its other processes."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from logging import Logger
from pathlib import Path
from typing import Self

from ml.bundle.manifest import (
    InvalidBundle,
    read_manifest,
    refuse_other_versions,
)
from ml.bundle.store import keep_bundle
from webapp.config import VERSION, Config, InvalidSetting, check_challenger

# Not LOAN_: these are no settings, and unknown ones of that name stop the start.
DIRECTORY = "PINNED_BUNDLE"
DIGEST = "PINNED_BUNDLE_DIGEST"
RELOADS_REFUSED = "PINNED_BUNDLE_RELOADS_REFUSED"
VERIFY_SECONDS = 300  # after which the check of known answers, which takes a few, is given up


@dataclass(frozen=True)
class Pin:
    """What every process of one gunicorn serves, until a reload pins another."""

    directory: Path
    digest: str
    reloads_refused: int = 0  # since the start, for want of a bundle that may decide

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self | None:
        """Return what the master has handed over; None in a process that it has not started."""
        if DIRECTORY not in environment:
            return None
        refused = int(environment[RELOADS_REFUSED])
        return cls(Path(environment[DIRECTORY]), environment[DIGEST], refused)

    def hand_over(self) -> None:
        """Put it into this process's environment, which those started from now on inherit."""
        os.environ[DIRECTORY] = str(self.directory)
        os.environ[DIGEST] = self.digest
        os.environ[RELOADS_REFUSED] = str(self.reloads_refused)


@cache
def read_settings() -> Config:
    """Return the settings of this process, read once: a reload must not fail on them."""
    return Config.from_environment()


def pin_bundle(config: Config) -> Pin:
    """Copy the bundle into the instance and verify the copy, or raise what speaks against it."""

    def check(copy: Path) -> None:
        manifest, digest = read_manifest(copy)
        refuse_other_versions(config.bundle, manifest)
        if config.challenger:
            check_challenger(config.challenger, there=manifest.challengers)
        # Another release of Loan Desk may compute other answers.
        verified = config.instance / "verified" / f"{digest}-{VERSION}"
        if not verified.exists():
            _verify(copy, source=config.bundle)
            verified.parent.mkdir(exist_ok=True)
            verified.touch()

    directory, digest = keep_bundle(config.bundle, config.kept, check=check)
    return Pin(directory.resolve(), digest)


def pin_at_start(config: Config, log: Logger) -> None:
    """Pin the bundle, or raise an InvalidBundle or InvalidSetting that says why not."""
    pin = pin_bundle(config)
    pin.hand_over()
    log.info("Serving %s, a copy of %s", pin.directory, config.bundle)


def pin_at_reload(config: Config, log: Logger) -> None:
    """Pin the bundle that is there now; keep the former one, and say so, where it is broken."""
    former = Pin.from_environment()
    if former is None:
        raise RuntimeError("a reload follows a start, which pins")
    try:
        pin = replace(pin_bundle(config), reloads_refused=former.reloads_refused)
    except (InvalidBundle, InvalidSetting) as error:
        log.error("Bundle refused, still serving %s: %s", former.directory, error)
        pin = replace(former, reloads_refused=former.reloads_refused + 1)
    else:
        log.info("Serving %s, a copy of %s", pin.directory, config.bundle)
    pin.hand_over()


def _verify(copy: Path, *, source: Path) -> None:
    """Compute the known answers of a copy in a process of its own: that loads scikit-learn."""
    command = [sys.executable, "-m", "ml", "verify", "--bundle", str(copy)]
    try:
        done = subprocess.run(  # noqa: S603 - nothing in it comes from outside
            command, capture_output=True, text=True, check=False, timeout=VERIFY_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise InvalidBundle(f"{source}: not verified within {VERIFY_SECONDS} seconds") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"{source}: exit code {done.returncode}"]
        reason = lines[-1].removeprefix("Error: ")
        raise InvalidBundle(reason.replace(str(copy), str(source)))
