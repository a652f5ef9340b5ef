"""Pinning a bundle, without a server."""

import hashlib
import io
import json
import logging
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import joblib
import pytest

from ml.bundle.manifest import (
    ARRAYS,
    CHAMPION,
    MANIFEST,
    SEAL,
    InvalidBundle,
    challenger_files,
    read_manifest,
)
from ml.bundle.reader import read_bundle
from ml.bundle.writer import write_bundle
from ml.training.export import export_scorer
from webapp import create_app
from webapp.config import VERSION
from webapp.failures import InvalidSetting, ModelUnavailable
from webapp.serving.pin import Pin, pin_at_reload, pin_at_start, pin_bundle
from webapp.serving.served import model

# Pinning does not use the database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ROOT = Path(__file__).parents[3]
log = logging.getLogger(__name__)


def state(directory, **changes):
    """Change a manifest and its seal; return the new digest."""
    manifest = json.loads((directory / MANIFEST).read_bytes())
    content = json.dumps({**manifest, **changes}).encode()
    digest = hashlib.sha256(content).hexdigest()
    (directory / MANIFEST).write_bytes(content)
    (directory / SEAL).write_text(f"{digest}  {MANIFEST}\n")
    return digest


@pytest.fixture
def place(bundle, tmp_path):
    return shutil.copytree(bundle.directory, tmp_path / "models" / "current")


@pytest.fixture
def settings(config, place, monkeypatch):
    """Settings with a bundle that a test may change; the environment is restored afterwards."""
    for name in ("PINNED_BUNDLE", "PINNED_BUNDLE_DIGEST", "PINNED_BUNDLE_RELOADS_REFUSED"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return config.model_copy(update={"bundle": place})


@pytest.fixture
def verified(settings, bundle):
    """The file that marks the bundle's known answers as verified in this instance."""
    note = settings.instance / "verified" / f"{bundle.digest}-{VERSION}"
    note.parent.mkdir(parents=True)
    note.touch()
    return note


def test_pin_is_a_copy_in_the_instance(settings, bundle):
    pin = pin_bundle(settings)
    assert pin == Pin((settings.kept / bundle.version).resolve(), bundle.digest, 0)
    [note] = (settings.instance / "verified").iterdir()
    assert note.name == f"{bundle.digest}-{VERSION}"
    made = note.stat().st_mtime_ns
    assert pin_bundle(settings) == pin
    assert note.stat().st_mtime_ns == made


@pytest.mark.usefixtures("verified")
def test_pin_at_start_and_reload(settings, bundle, caplog):
    caplog.set_level(logging.INFO)
    assert Pin.from_environment() is None
    pin_at_start(settings, log)
    first = Pin.from_environment()
    assert first.digest == bundle.digest
    (settings.bundle / ARRAYS).unlink()
    for count in (1, 2):
        pin_at_reload(settings, log)
        assert Pin.from_environment() == replace(first, reloads_refused=count)
    errors = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    why = f"{settings.bundle / ARRAYS}: does not exist"
    assert errors == [f"Bundle refused, still serving {first.directory}: {why}"] * 2
    shutil.copy(bundle.directory / ARRAYS, settings.bundle)
    pin_at_reload(settings, log)
    assert Pin.from_environment() == replace(first, reloads_refused=2)


@pytest.mark.usefixtures("verified")
def test_pin_at_reload_of_a_bundle_that_lost_the_challenger(settings, caplog):
    settings = settings.model_copy(update={"challenger": "svc_rbf"})
    pin_at_start(settings, log)
    first = Pin.from_environment()
    manifest, _ = read_manifest(settings.bundle)
    lost = challenger_files("svc_rbf")
    files = manifest.model_dump(mode="json")["files"]
    state(settings.bundle, files={n: f for n, f in files.items() if n not in lost})
    pin_at_reload(settings, log)
    assert Pin.from_environment() == replace(first, reloads_refused=1)
    assert "There are: none." in caplog.messages[-1]


@pytest.mark.usefixtures("verified")
def test_pin_replaces_a_damaged_copy(settings):
    copy = pin_bundle(settings).directory / ARRAYS
    copy.write_bytes(b"other")
    pin_bundle(settings)
    assert copy.read_bytes() == (settings.bundle / ARRAYS).read_bytes()


def test_pin_where_the_instance_cannot_be_written(settings):
    settings.kept.parent.mkdir(exist_ok=True)
    settings.kept.write_text("mine")
    with pytest.raises(InvalidBundle, match=str(settings.kept)):
        pin_bundle(settings)


@pytest.mark.parametrize("table", [[1], [{}], [None], [[]]])
def test_pin_of_a_manifest_that_names_no_candidates(settings, table):
    state(settings.bundle, table=table)
    with pytest.raises(InvalidBundle, match=str(settings.bundle / MANIFEST)):
        pin_bundle(settings.model_copy(update={"challenger": "svc_rbf"}))


def test_pin_without_the_challenger(settings):
    with pytest.raises(InvalidSetting, match="There are: svc_rbf"):
        pin_bundle(settings.model_copy(update={"challenger": "nobody"}))
    assert not list(settings.kept.glob("[!.]*"))


@pytest.mark.usefixtures("verified")
def test_application_serves_what_is_pinned(settings, bundle, another_bundle, monkeypatch):
    pin_at_start(settings, log)
    pin = Pin.from_environment()
    monkeypatch.setenv("LOAN_INSTANCE", str(settings.instance))
    monkeypatch.setenv("LOAN_BUNDLE", str(another_bundle.directory))
    with create_app().app_context():
        assert model.bundle.digest == bundle.digest
        assert model.bundle.directory == pin.directory
        assert model.of(another_bundle.version).directory == another_bundle.directory
    with create_app(settings.model_copy(update={"bundle": another_bundle.directory})).app_context():
        assert model.bundle.digest == another_bundle.digest


@pytest.mark.usefixtures("verified")
def test_application_refuses_another_bundle_than_the_pinned_one(
    settings, another_bundle, monkeypatch
):
    pin_at_start(settings, log)
    pin = Pin.from_environment()
    shutil.rmtree(pin.directory)
    shutil.copytree(another_bundle.directory, pin.directory)
    monkeypatch.setenv("LOAN_INSTANCE", str(settings.instance))
    with create_app().app_context(), pytest.raises(ModelUnavailable, match=str(pin.directory)):
        assert model.bundle


@pytest.fixture
def without_arrays(settings, product, fitted):
    """A bundle whose champion has no array form, marked as verified."""
    neighbours = fitted(product, "neighbours")
    pickled = io.BytesIO()
    joblib.dump(neighbours, pickled)
    manifest, _ = read_manifest(settings.bundle)
    files = {name: (settings.bundle / name).read_bytes() for name in manifest.files}
    files |= {CHAMPION: pickled.getvalue(), ARRAYS: export_scorer(neighbours)}
    write_bundle(settings.bundle, files, manifest.model_copy(update={"scorer": "pipeline"}))
    bundle = read_bundle(settings.bundle)
    assert bundle.scorer.kind == "pipeline"
    note = settings.instance / "verified" / f"{bundle.digest}-{VERSION}"
    note.parent.mkdir(parents=True)
    note.touch()
    return settings


def test_master_loads_no_scikit_learn(without_arrays):
    code = (
        "import json, logging, sys\n"
        "from webapp.serving.pin import pin_at_start, read_settings\n"
        "pin_at_start(read_settings(), logging.getLogger())\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    environment = {
        "LOAN_INSTANCE": str(without_arrays.instance),
        "LOAN_BUNDLE": str(without_arrays.bundle),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout))
    assert "numpy" in loaded
    assert not {"sklearn", "pandas", "scipy", "joblib", "matplotlib"} & loaded
