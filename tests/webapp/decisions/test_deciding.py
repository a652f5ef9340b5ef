"""Tests that the audit log names the bundle that decides, by its version and its digest."""

import hashlib
import json
import shutil

import pytest

from ml.bundle.reader import read_bundle
from tests.fixtures.databases import disconnect
from tests.ml.bundle.damage import state
from webapp import create_app

ENTRIES = (
    "SELECT event, subject, facts FROM audit_log "
    "WHERE event IN ('bundle.activated', 'decision.made') ORDER BY lane, number"
)


def activated(bundle):
    stated = json.dumps([bundle.version, bundle.digest], separators=(",", ":"))
    digest = hashlib.sha256(stated.encode()).digest()
    return ("bundle.activated", f"model:{bundle.version}", digest)


@pytest.fixture
def entries(query):
    """Return the entries of activations and of decisions; the facts of decisions left out."""

    def read():
        return [
            (event, subject, bytes(facts) if event == "bundle.activated" else None)
            for event, subject, facts in query(ENTRIES)
        ]

    return read


def made(number):
    return ("decision.made", f"decision:{number}", None)


def test_first_decisions_of_a_bundle_follow_its_activation(
    app, config, take, granted, operator, bundle, entries, tmp_path
):
    with app.app_context():
        for _ in range(3):
            take(granted, operator=operator)
    assert entries() == [activated(bundle), made(1), made(2), made(3)]
    folder = shutil.copytree(bundle.directory, tmp_path / "models" / "own")
    state(folder, trained_at="2026-01-02T03:04:05+00:00")  # which changes nothing that it decides
    other = read_bundle(folder)
    assert (other.version, other.digest != bundle.digest) == (bundle.version, True)
    again = create_app(config.model_copy(update={"bundle": folder}))
    with again.app_context():
        for _ in range(2):
            take(granted, operator=operator)
    disconnect(again)
    assert entries()[4:] == [activated(other), made(4), made(5)]
