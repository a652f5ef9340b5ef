"""Tests of gunicorn.conf.py: starts and reloads with invalid bundles, imports, metrics files."""

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from ml.bundle.manifest import MANIFEST, SEAL, read_manifest
from ml.bundle.writer import write_bundle
from ml.product.samples import examples


@pytest.fixture
def start(forks):
    """Run gunicorn, which must end by itself."""

    def run(instance, bundle, **more):
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("LOAN_", "PROMETHEUS_"))},
            "LOAN_INSTANCE": str(instance),
            "LOAN_BUNDLE": str(bundle),
            "LOAN_BIND": "127.0.0.1:0",
            **more,
        }
        return forks.run(["-m", "gunicorn"], environment)

    return run


def error_line(done):
    """Return the error, which must be the only line except gunicorn's INFO lines."""
    lines = [x for x in done.stderr.splitlines() if not re.match(r"\[.*\] \[INFO\]", x)]
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.fixture
def copied(bundle, tmp_path):
    directory = tmp_path / "bundle"
    shutil.copytree(bundle.directory, directory)
    return directory


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_port_in_use_stops_the_start_with_one_line(start, tmp_path, bundle, host):
    family = socket.AF_INET6 if "[" in host else socket.AF_INET
    with socket.create_server((host.strip("[]"), 0), family=family) as other:
        port = other.getsockname()[1]
        done = start(tmp_path, bundle.directory, LOAN_BIND=f"{host}:{port}")
    assert done.returncode == 2
    assert error_line(done) == (
        f"loan desk: LOAN_BIND: {host}:{port}: Address already in use. "
        f"Choose another, such as LOAN_BIND={host}:{port + 1}"
    )


def changed_byte(directory):
    content = bytearray((directory / "scorer.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (directory / "scorer.npz").write_bytes(content)
    return "scorer.npz"


def missing_file(directory):
    (directory / "product.toml").unlink()
    return "product.toml"


def seal(directory, manifest):
    """Write a manifest and its seal."""
    content = json.dumps(manifest).encode()
    (directory / MANIFEST).write_bytes(content)
    (directory / SEAL).write_text(f"{hashlib.sha256(content).hexdigest()}  {MANIFEST}\n")


def other_version(directory):
    manifest = json.loads((directory / MANIFEST).read_text())
    manifest["versions"]["scikit-learn"] = "0.1"
    seal(directory, manifest)
    return "scikit-learn 0.1"


def other_answers(directory):
    """Seal a bundle with a known answer that its pipeline does not give."""
    manifest, _ = read_manifest(directory)
    files = {name: (directory / name).read_bytes() for name in manifest.files}
    answers = list(manifest.known_answers)
    answers[3] = answers[3].model_copy(update={"probability": answers[3].probability / 2})
    write_bundle(directory, files, manifest.model_copy(update={"known_answers": tuple(answers)}))
    return "a known answer differs"


@pytest.mark.parametrize("harm", [changed_byte, other_answers])
def test_start_stops_on_an_invalid_bundle(start, copied, tmp_path, harm):
    message = harm(copied)
    done = start(tmp_path / "instance", copied)
    assert done.returncode == 2
    assert message in error_line(done)
    assert not list((tmp_path / "instance").glob("verified/*"))
    assert not list((tmp_path / "instance").glob("models/[!.]*"))


def test_reload_keeps_the_served_bundle_if_the_new_one_is_invalid(serve, bundle, tmp_path, until):
    """One worker is enough, because a reload replaces every worker."""
    place, log = tmp_path / "bundle", tmp_path / "gunicorn.log"
    shutil.copytree(bundle.directory, place)
    harms = [changed_byte, missing_file, other_version, other_answers]

    def renew():
        """Replace the bundle by one of the same version and another digest."""
        shutil.rmtree(place)
        shutil.copytree(bundle.directory, place)
        manifest = json.loads((place / MANIFEST).read_text())
        seal(place, manifest | {"trained_at": "2001-01-01T00:00:00+00:00"})

    def reload():
        before = children(server)
        server.process.send_signal(signal.SIGHUP)
        until(lambda: len(children(server)) == 1 and not before & children(server))
        with urllib.request.urlopen(f"{server.url}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        return (
            re.search(r'^loan_model_info{.*model="([^"]*)"', text, flags=re.M)[1],
            re.search(r"^loan_bundle_reloads_refused_total (.*)$", text, flags=re.M)[1],
        )

    with serve(workers=1, LOAN_BUNDLE=str(place)) as server:
        for count, harm in enumerate(harms, start=1):
            renew()
            message = harm(place)
            assert reload() == (bundle.version, f"{count}.0"), harm.__name__
            lines = [x for x in log.read_text().splitlines() if "[ERROR]" in x]
            assert len(lines) == count
            assert message in lines[-1]
        models = Path(server.environment["LOAN_INSTANCE"]) / "models"
        assert [path.name for path in models.glob("[!.]*")] == [bundle.version]

        renew()
        assert reload() == (bundle.version, f"{len(harms)}.0")
        assert len(list(models.glob("[!.]*"))) == 2
        assert log.read_text().count("[ERROR]") == len(harms)


def test_workers_start_and_reload_when_the_secret_is_damaged(serve, bundle, tmp_path, until):
    """No worker reads the secret: the master reads it at the start and at a reload."""
    place, log = tmp_path / "bundle", tmp_path / "gunicorn.log"
    shutil.copytree(bundle.directory, place)

    def secret():
        try:
            urllib.request.urlopen(f"{server.url}/readyz", timeout=30).close()
        except urllib.error.HTTPError as error:
            with error:
                return json.load(error)["secret"]
        return True

    with serve(workers=1, LOAN_BUNDLE=str(place)) as server:
        assert secret()
        (Path(server.environment["LOAN_INSTANCE"]) / "secret_key").write_text("short")
        [first] = children(server)
        os.kill(int(first), signal.SIGKILL)
        until(lambda: children(server) - {first})
        assert not secret()
        [second] = children(server)
        manifest = json.loads((place / MANIFEST).read_text())
        seal(place, manifest | {"trained_at": "2001-01-01T00:00:00+00:00"})
        server.process.send_signal(signal.SIGHUP)
        until(lambda: len(children(server)) == 1 and children(server) != {second})
        assert not secret()
        [line] = [x for x in log.read_text().splitlines() if "Still serving" in x]
        # The new bundle is kept beside it, and decides nothing yet.
        assert f"models/{bundle.version} with the previous settings and templates" in line
        assert "secret_key: shorter than" in line


RELOADED = """
import logging, runpy, weakref
from types import SimpleNamespace
server = SimpleNamespace(log=logging.getLogger(), cfg=SimpleNamespace(address=[]))
conf = runpy.run_path("gunicorn.conf.py")
conf["on_starting"](server)
from webapp import wsgi
before = weakref.ref(wsgi.application)
conf["on_reload"](server)
conf["on_exit"](server)
print(before() is None, wsgi.application.name)
"""


def test_reload_leaves_no_application_behind(forks, bundle, started_before, tmp_path):
    shutil.copytree(started_before, tmp_path / "instance")
    given = {"LOAN_INSTANCE": str(tmp_path / "instance"), "LOAN_BUNDLE": str(bundle.directory)}
    done = forks.run(["-c", RELOADED], os.environ | given)
    assert done.stdout == "True webapp\n", done.stderr


def children(server):
    """Return the process ids of the workers."""
    return set(server.process.children())


def test_start_stops_on_an_invalid_setting(start, bundle, tmp_path):
    done = start(tmp_path / "instance", bundle.directory, LOAN_THREADS="many")
    assert done.returncode == 2
    assert "LOAN_THREADS" in error_line(done)


def test_start_stops_if_the_metrics_folder_cannot_be_created(start, bundle, tmp_path):
    file = tmp_path / "file"
    file.touch()
    done = start(tmp_path / "instance", bundle.directory, PROMETHEUS_MULTIPROC_DIR=str(file))
    assert done.returncode == 2
    assert error_line(done) == f"loan desk: PROMETHEUS_MULTIPROC_DIR: {file}: File exists"


def test_start_stops_on_an_unknown_challenger(start, bundle, tmp_path):
    done = start(tmp_path / "instance", bundle.directory, LOAN_CHALLENGER="svc_linear")
    assert done.returncode == 2
    assert "svc_linear" in error_line(done)
    assert "There are: svc_rbf." in error_line(done)


def test_second_start_does_not_open_the_pipeline_again(serve, started_before):
    (first,) = (started_before / "verified").iterdir()
    with serve(workers=1) as server:
        (second,) = (Path(server.environment["LOAN_INSTANCE"]) / "verified").iterdir()
        assert second.name == first.name
        assert second.stat().st_mtime_ns == first.stat().st_mtime_ns


def test_workers_load_neither_scikit_learn_nor_pandas(serve, product):
    application = json.dumps(examples(product, count=1, seed=1)[0]).encode()
    with serve() as server:
        headers = {
            "Authorization": f"Bearer {server.flask('api-keys', 'create', 'load')}",
            "Content-Type": "application/json",
        }
        request = urllib.request.Request(f"{server.url}/api/v1/decisions", application, headers)
        for _ in range(20):
            urllib.request.urlopen(request, timeout=30).close()
        workers = children(server)
        assert len(workers) == 2
        for pid in (*workers, server.process.pid):
            mapped = Path(f"/proc/{pid}/maps").read_text()
            assert "numpy" in mapped
            for library in ("sklearn", "pandas", "scipy", "joblib", "matplotlib"):
                assert f"site-packages/{library}/" not in mapped


def test_metrics_folder_of_a_start_is_removed_at_its_end(serve, tmp_path):
    folder = tmp_path / "temporary"
    folder.mkdir()
    with serve(workers=1, TMPDIR=str(folder)) as server:
        (made,) = folder.glob("loan-desk-metrics-*")
        assert list(made.glob("*.db"))
        first = children(server)
        server.process.send_signal(signal.SIGHUP)  # new workers, the settings used again
        while first & children(server):
            urllib.request.urlopen(f"{server.url}/healthz", timeout=30).close()
    assert list(folder.iterdir()) == []


def test_start_leaves_other_files_in_the_metrics_folder_alone(serve, tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    kept, old = folder / "loan_desk.db", folder / "counter_1234567.db"
    for file in (kept, old):
        file.write_bytes(b"precious")
    with serve(PROMETHEUS_MULTIPROC_DIR=str(folder)) as server:
        with urllib.request.urlopen(f"{server.url}/healthz", timeout=30) as answer:
            assert answer.status == 200
        assert kept.read_bytes() == b"precious"
        assert not old.exists()
