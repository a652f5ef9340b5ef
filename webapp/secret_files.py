"""Secrets in files: settings in the secrets folder, and the secret key of the instance."""

import os
import secrets
from pathlib import Path

from webapp.failures import InvalidSetting

PREFIX = "LOAN_"
SECRETS_DIR = Path("/run/secrets")  # where Docker mounts secrets
MIN_SECRET_LENGTH = 32  # characters


def variable(name: str) -> str:
    return PREFIX + name.upper()


def kept_secret(file: Path) -> str:
    """Return the key in a file; refuse one that others can read or that is easy to guess."""
    secret = _read_secret(file, forbidden=0o077)
    if len(secret) < MIN_SECRET_LENGTH:
        raise InvalidSetting(
            f"{file}: shorter than {MIN_SECRET_LENGTH} characters. "
            "Remove it, and a new one is made."
        )
    return secret


def read_secret_files(chosen: str) -> dict[str, str]:
    """Return the settings in secret files, by field name; refuse a file that cannot be used."""
    folder = Path(chosen or SECRETS_DIR)
    try:
        files = [f for f in folder.iterdir() if f.name.upper().startswith(PREFIX)]
    except OSError as error:
        if folder == SECRETS_DIR and isinstance(error, FileNotFoundError | PermissionError):
            return {}
        raise InvalidSetting(f"{variable('secrets_dir')}: {folder}: {error.strerror}") from None
    # Docker and Kubernetes let every user of a container read its secrets, and nobody else.
    forbidden = 0 if folder == SECRETS_DIR else 0o007
    settings = {}
    for file in files:
        text = settings[file.name[len(PREFIX) :].lower()] = _read_secret(file, forbidden=forbidden)
        if not text:
            raise InvalidSetting(f"{file}: empty. Write the setting into it, or remove it.")
    return settings


def _read_secret(file: Path, *, forbidden: int) -> str:
    """Return the text of a file; refuse a file whose mode lets others read it."""
    try:
        secret = file.read_text().strip()
        mode = file.stat().st_mode
    except (OSError, ValueError) as error:
        raise InvalidSetting(f"{file}: cannot be read: {error}") from None
    if mode & forbidden:
        raise InvalidSetting(f"{file}: others may read it. Run: chmod 600 {file}")
    return secret


def make_secret(file: Path, secret: str = "") -> None:
    """Write a secret, by default a random one, unless another process is first."""
    try:
        # A complete file is linked to its name: another process must never read half a key.
        new = file.with_suffix(f".{secrets.token_hex(4)}")
        new.touch(mode=0o600)
        with new.open("w") as opened:
            opened.write(secret or secrets.token_urlsafe(48))
            opened.flush()
            os.fsync(opened.fileno())  # a power cut must not leave an empty key
        os.link(new, file)
    except FileExistsError:
        pass
    except OSError as error:
        raise InvalidSetting(f"LOAN_INSTANCE: {file}: {error.strerror}") from None
    finally:
        new.unlink(missing_ok=True)
