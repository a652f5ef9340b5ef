"""The pin: the verified copy of a bundle that all processes of one gunicorn serve."""

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
from webapp.config import VERSION, Config, check_challenger
from webapp.failures import InvalidSetting

# Environment variables without the prefix of settings, because an unknown setting stops the start.
DIRECTORY = "PINNED_BUNDLE"
DIGEST = "PINNED_BUNDLE_DIGEST"
RELOADS_REFUSED = "PINNED_BUNDLE_RELOADS_REFUSED"
VERIFY_TIMEOUT_SECONDS = 300  # verifying known answers takes a few seconds


@dataclass(frozen=True)
class Pin:
    """The bundle that every process of one gunicorn serves until a reload pins another."""

    directory: Path
    digest: str
    reloads_refused: int = 0  # since the start, because the new bundle was invalid

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self | None:
        """Return the pin that the master set; None in a process that it did not start."""
        if DIRECTORY not in environment:
            return None
        refused = int(environment[RELOADS_REFUSED])
        return cls(Path(environment[DIRECTORY]), environment[DIGEST], refused)

    def hand_over(self) -> None:
        """Set the pin in the environment, which processes that start later inherit."""
        os.environ[DIRECTORY] = str(self.directory)
        os.environ[DIGEST] = self.digest
        os.environ[RELOADS_REFUSED] = str(self.reloads_refused)


@cache
def read_settings() -> Config:
    """Return the settings of this process, read once so that a reload cannot fail on them."""
    return Config.from_environment()


def pin_bundle(config: Config) -> Pin:
    """Copy the bundle into the instance and verify the copy.

    Raises InvalidBundle or InvalidSetting if the bundle must not be served.
    """

    def check(copy: Path) -> None:
        manifest, digest = read_manifest(copy)
        refuse_other_versions(config.bundle, manifest)
        if config.challenger:
            check_challenger(config.challenger, there=manifest.challengers)
        # Verified once for each release, because another one may compute other answers.
        verified = config.instance / "verified" / f"{digest}-{VERSION}"
        if not verified.exists():
            _verify(copy, source=config.bundle)
            verified.parent.mkdir(exist_ok=True)
            verified.touch()

    directory, digest = keep_bundle(config.bundle, config.kept, check=check)
    return Pin(directory.resolve(), digest)


def pin_at_start(config: Config, log: Logger) -> None:
    """Pin the bundle; raises as `pin_bundle`."""
    pin = pin_bundle(config)
    pin.hand_over()
    log.info("Serving %s, a copy of %s", pin.directory, config.bundle)


def pin_at_reload(config: Config, log: Logger) -> None:
    """Pin the bundle that is there now; if it is invalid, log why and keep the current pin."""
    current = Pin.from_environment()
    if current is None:
        raise RuntimeError("reload without a pin: pin_at_start was not called")
    try:
        pin = replace(pin_bundle(config), reloads_refused=current.reloads_refused)
    except (InvalidBundle, InvalidSetting) as error:
        log.error("Bundle refused, still serving %s: %s", current.directory, error)
        pin = replace(current, reloads_refused=current.reloads_refused + 1)
    else:
        log.info("Serving %s, a copy of %s", pin.directory, config.bundle)
    pin.hand_over()


def _verify(copy: Path, *, source: Path) -> None:
    """Verify the known answers in a subprocess, so that scikit-learn is not loaded here."""
    command = [sys.executable, "-m", "ml", "verify", "--bundle", str(copy)]
    try:
        result = subprocess.run(  # noqa: S603 - no part of the command comes from outside
            command, capture_output=True, text=True, check=False, timeout=VERIFY_TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise InvalidBundle(
            f"{source}: not verified within {VERIFY_TIMEOUT_SECONDS} seconds"
        ) from None
    if result.returncode:
        lines = result.stderr.strip().splitlines() or [f"{source}: exit code {result.returncode}"]
        reason = lines[-1].removeprefix("Error: ")
        raise InvalidBundle(reason.replace(str(copy), str(source)))
