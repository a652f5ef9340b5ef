"""Tests of the canary, in the workers of a real server and in this process."""

import os
import re
import shutil
import signal
import time
import urllib.request
from pathlib import Path

import pytest

from ml.bundle.manifest import read_manifest
from ml.bundle.writer import write_bundle
from webapp.config import VERSION
from webapp.serving import canary

CHECKED, WRONG = "loan_canary_checked_seconds", "loan_canary_wrong_workers"
ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def gauges(text):
    """Return the canary's gauges, each of which must be one series."""
    found = re.findall(rf"^({CHECKED}|{WRONG}) (.*)$", text, flags=re.M)
    assert len(found) == len(dict(found))
    return {name: float(value) for name, value in found}


def metrics_of(server):
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=30) as answer:
        return answer.read().decode()


def scrape(server):
    return gauges(metrics_of(server))


def workers(server):
    """Return the number of workers by the model that decides in them."""
    found = re.findall(r'^loan_workers{model="(.*?)",.*} (.*)$', metrics_of(server), flags=re.M)
    return {version: float(value) for version, value in found}


def with_other_answers(directory, instance):
    """Change a known answer of a bundle, and mark it as verified.

    Its model then answers wrongly, as after an update of a library that computes otherwise.
    """
    manifest, _ = read_manifest(directory)
    files = {name: (directory / name).read_bytes() for name in manifest.files}
    answers = list(manifest.known_answers)
    answers[3] = answers[3].model_copy(update={"probability": answers[3].probability / 2})
    write_bundle(directory, files, manifest.model_copy(update={"known_answers": tuple(answers)}))
    _, digest = read_manifest(directory)
    (instance / "verified" / f"{digest}-{VERSION}").touch()


def test_canary_in_each_worker_and_after_reloads(serve, bundle, tmp_path, until):
    place, started = tmp_path / "bundle", time.time()
    shutil.copytree(bundle.directory, place)
    metrics = tmp_path / "metrics"

    def renewed(before):
        now = set(server.process.children())
        return len(now) == 2 and not now & before

    def reload():
        before = set(server.process.children())
        server.process.send_signal(signal.SIGHUP)
        until(lambda: renewed(before))

    def noted():
        """Return the processes that have a file of gauges."""
        files = (f.stem for f in metrics.glob("gauge_livemin_*.db"))
        return {int(stem.rpartition("_")[2]) for stem in files}

    settings = {"LOAN_BUNDLE": str(place), "PROMETHEUS_MULTIPROC_DIR": str(metrics)}
    with serve(workers=2, **settings) as server:
        until(lambda: noted() == set(server.process.children()))  # and not the master
        first = scrape(server)
        assert first[CHECKED] > started
        assert first[WRONG] == 0
        until(lambda: workers(server) == {bundle.version: 2})
        os.kill(server.process.children()[0], signal.SIGKILL)
        until(lambda: len(server.process.children()) == 2)
        until(lambda: noted() == set(server.process.children()))
        until(lambda: scrape(server)[CHECKED] >= first[CHECKED])

        with_other_answers(place, Path(server.environment["LOAN_INSTANCE"]))
        reload()
        until(lambda: scrape(server)[WRONG] == 2)
        until(lambda: sum(workers(server).values()) == 2)
        assert bundle.version not in workers(server)  # a known answer is part of the version
        shutil.rmtree(place)
        shutil.copytree(bundle.directory, place)
        reload()
        until(lambda: scrape(server)[WRONG] == 0)
    log = (tmp_path / "gunicorn.log").read_text()
    assert len(re.findall(r"canary: known answer 3 of \S+ differs by 0\.\d+", log)) == 2


@ON_ONE
def test_canary_checks_again_and_notes_a_model_that_cannot_answer(
    app, client, monkeypatch, until, tmp_path, config, caplog
):
    monkeypatch.setattr(canary, "EVERY_SECONDS", 0.05)
    canary.start(app)
    first = gauges(client.get("/metrics").text)
    assert first[WRONG] == 0
    until(lambda: gauges(client.get("/metrics").text)[CHECKED] > first[CHECKED])
    canary.model.init_app(app, config.model_copy(update={"bundle": tmp_path / "nowhere"}))
    until(lambda: gauges(client.get("/metrics").text)[WRONG] == 1)
    assert len([r for r in caplog.records if "ModelUnavailable" in r.message]) == 1
