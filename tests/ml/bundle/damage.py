"""Functions that change the files of a bundle and seal it again."""

import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest

from ml.bundle.manifest import MANIFEST, SEAL, InvalidBundle, read_manifest
from ml.bundle.reader import read_bundle
from ml.bundle.verify import verify_bundle
from ml.bundle.version import version_of

ROOT = Path(__file__).parents[3]


def seal(directory, manifest):
    """Write a manifest, given as an object or as text, and its seal."""
    text = manifest if isinstance(manifest, str) else json.dumps(manifest)
    content = text.encode(errors="surrogateescape")
    (directory / MANIFEST).write_bytes(content)
    (directory / SEAL).write_text(f"{hashlib.sha256(content).hexdigest()}  {MANIFEST}\n")


def stated(directory):
    return json.loads((directory / MANIFEST).read_bytes())


def state(directory, **changes):
    """Change the manifest and seal it; the stated version stays."""
    seal(directory, stated(directory) | changes)


def put(directory, name, content):
    """Replace a file and seal the bundle; the stated version stays."""
    (directory / name).parent.mkdir(exist_ok=True)
    (directory / name).write_bytes(content)
    files = stated(directory)["files"] | {name: hashlib.sha256(content).hexdigest()}
    state(directory, files=files)


def state_version(directory):
    """State the version of the bundle's present content, and return it."""
    manifest, _ = read_manifest(directory)
    files = {name: (directory / name).read_bytes() for name in manifest.files}
    state(directory, version=version_of(manifest, files))
    return stated(directory)["version"]


def error_of(directory, kind, call):
    """Assert that a call raises exactly this error, with a one-line message; return the message."""
    with pytest.raises(InvalidBundle) as raised:
        call()
    message = str(raised.value)
    assert type(raised.value) is kind, message
    assert message.startswith(str(directory)), message
    assert "\n" not in message
    return message


def refused(directory, kind, *, past=False):
    return error_of(directory, kind, lambda: read_bundle(directory, past=past))


def not_verified(directory, kind):
    """Assert that a bundle can be read but not verified; return the message."""
    bundle = read_bundle(directory)
    return error_of(directory, kind, lambda: verify_bundle(bundle))


def verify(directory):
    """Run `ml verify` in a new process; return its exit code and the lines of stdout and stderr."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "ml", "verify", "--bundle", str(directory)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def npz(**arrays):
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def arrays_of(content):
    with np.load(io.BytesIO(content)) as arrays:
        return {name: arrays[name] for name in arrays.files}


def npy(array):
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def dumped(model):
    content = io.BytesIO()
    joblib.dump(model, content)
    return content.getvalue()


class Touches:
    """Creates a file when it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return (Path.touch, (self.file,))
