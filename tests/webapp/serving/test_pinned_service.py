"""Tests of a real gunicorn: it serves the pinned bundle until a reload pins another."""

import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from http.cookiejar import CookieJar
from itertools import cycle
from pathlib import Path
from threading import Event
from urllib.parse import urlencode

import pytest

from ml.bundle.manifest import MANIFEST, SEAL
from ml.bundle.reader import read_bundle
from ml.training.build import assemble

NAME = "svc_rbf"
PAUSE = 0.02  # seconds between two decisions of a client


@pytest.fixture
def place(bundle, tmp_path):
    """A copy of the bundle's directory, to change while the service runs."""
    return Path(shutil.copytree(bundle.directory, tmp_path / "models" / "current"))


def children(server):
    """Return the process ids of the master's children by kind."""
    kinds = {"worker": set(), "challenger": set()}
    for number in server.process.children():
        with suppress(OSError):
            command = Path(f"/proc/{number}/cmdline").read_bytes()
            kinds["challenger" if b"challenger" in command else "worker"].add(number)
    return kinds


def workers(server):
    return children(server)["worker"]


def reload(server, until):
    """Reload, and wait until only new workers run."""
    before = workers(server)
    server.process.send_signal(signal.SIGHUP)
    until(lambda: len(workers(server)) == 2 and not before & workers(server))


def read(server, path, *, opener=None, **headers):
    request = urllib.request.Request(f"{server.url}{path}", headers=headers)
    with (opener or urllib.request.build_opener()).open(request, timeout=30) as answer:
        return answer.read().decode()


def metric(server, name, **labels):
    """Return the sum of a metric over all labels except the given ones."""
    samples = re.findall(rf"^{name}(?:{{(.*)}})? (.+)$", read(server, "/metrics"), flags=re.M)
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(float(value) for text, value in samples if all(label in text for label in wanted))


def decide(server, key, application):
    """Have an application decided; retry only if an ending worker drops the connection."""
    host = server.url.removeprefix("http://")
    body, headers = json.dumps(application), {"Authorization": f"Bearer {key}"}
    headers["Content-Type"] = "application/json"
    while True:
        connection = http.client.HTTPConnection(host, timeout=30)
        try:
            connection.request("POST", "/api/v1/decisions", body, headers)
            answer = connection.getresponse()
            content = answer.read()
        except ConnectionResetError:
            continue
        finally:
            connection.close()
        assert answer.status == 201, content
        decision = json.loads(content)
        return decision["model"], decision["threshold"]


@contextmanager
def deciding(server, key, applications):
    """Have applications decided continuously; yield the list of versions and thresholds."""
    stop, decisions = Event(), []

    def go_on():
        for application in cycle(applications):
            if stop.wait(PAUSE):
                return
            decisions.append(decide(server, key, application))

    with ThreadPoolExecutor(2) as pool:
        clients = [pool.submit(go_on) for _ in range(2)]
        try:
            yield decisions
        finally:
            stop.set()
    for client in clients:
        client.result()


@contextmanager
def alone(server, number):
    """Suspend all workers but one."""
    others = workers(server) - {number}
    for other in others:
        os.kill(other, signal.SIGSTOP)
    try:
        yield
    finally:
        for other in others:
            os.kill(other, signal.SIGCONT)


ROLES = ("--role", "clerk", "--role", "analyst")


def sign_in(server):
    """Return an opener with the session of a new user."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    password = server.flask("users", "create", "clerk", *ROLES)
    token = re.search(
        r'name="csrf_token"[^>]*value="([^"]+)"', read(server, "/login", opener=opener)
    )
    form = {"username": "clerk", "password": password, "csrf_token": token[1]}
    opener.open(f"{server.url}/login", urlencode(form).encode(), timeout=30).close()
    return opener


def check_each_worker(server, expected, *, key, browser, application):
    """Assert that every worker decides by a bundle, and shows it on every page."""
    both = workers(server)
    assert len(both) == 2
    for number in both:
        with alone(server, number):
            assert f'model="{expected.version}"' in read(server, "/metrics")
            assert decide(server, key, application) == (expected.version, expected.threshold)
            assert expected.version in read(server, "/model", opener=browser)
            card = json.loads(read(server, "/model/card.json", opener=browser))
            api = read(server, "/api/v1/models/current", Authorization=f"Bearer {key}")
            for answer in (card, json.loads(api)):
                assert answer["version"] == expected.version
                assert answer["threshold"] == expected.threshold
            assert json.loads(read(server, "/readyz"))["bundle"]


def test_training_in_place_changes_nothing_until_a_reload(
    forks, serve, place, bundle, product, trained, origin, applications, until
):
    with serve(LOAN_BUNDLE=str(place), LOAN_CHALLENGER=NAME) as server:
        key, browser = server.flask("api-keys", "create", "load"), sign_in(server)
        asked = {"key": key, "browser": browser, "application": applications[0]}
        killed, other = workers(server)

        retrained = assemble(place, product, trained, replace(origin, threshold=0.7))
        assert retrained.version != bundle.version
        with deciding(server, key, applications) as earlier:
            os.kill(killed, signal.SIGKILL)
            until(lambda: len(workers(server) - {killed, other}) == 1)
            so_far = len(earlier)
            until(lambda: len(earlier) > so_far + 20)
        check_each_worker(server, bundle, **asked)
        until(lambda: scored_all(server, bundle))
        check_challenger_command(forks, server, key, applications[:3])

        with deciding(server, key, applications) as later:
            reload(server, until)
            so_far = len(later)
            until(lambda: len(later) > so_far + 20)
        check_each_worker(server, retrained, **asked)
        assert set(earlier) == {(bundle.version, bundle.threshold)}
        assert set(later) == {(b.version, b.threshold) for b in (bundle, retrained)}
        until(lambda: scored_all(server, retrained))
        assert metric(server, "loan_bundle_reloads_refused_total") == 0


def check_challenger_command(forks, server, key, applications):
    """Assert that a challenger that the master starts scores what its workers decide."""
    [number] = children(server)["challenger"]
    inherited = Path(f"/proc/{number}/environ").read_text().rstrip("\0").split("\0")
    environment = dict(x.split("=", 1) for x in inherited)
    os.kill(number, signal.SIGSTOP)  # not killed, because it would restart
    for application in applications:
        decide(server, key, application)
    command = ["-m", "flask", "--app", "webapp", "challenger", "run", "--once"]
    done = forks.run(command, environment)
    os.kill(number, signal.SIGCONT)
    assert (done.returncode, done.stdout) == (0, f"3 decisions scored by {NAME}\n"), done.stderr


def scored_all(server, by):
    """Return whether the challenger has scored every decision of a bundle."""
    names = ("loan_challenger_decisions_total", "loan_decisions_total")
    return len({metric(server, name, model=by.version) for name in names}) == 1


def test_two_masters_start_at_once_on_one_instance(start_server, place, bundle, tmp_path):
    manifest = json.loads((place / MANIFEST).read_bytes()) | {
        "trained_at": "2001-01-01T00:00:00+00:00"
    }
    content = json.dumps(manifest).encode()
    (place / MANIFEST).write_bytes(content)
    (place / SEAL).write_text(f"{hashlib.sha256(content).hexdigest()}  {MANIFEST}\n")
    instance = tmp_path / "instance"

    with ThreadPoolExecutor(3) as pool, ExitStack() as stack:
        given = [bundle, bundle, read_bundle(place)]
        starts = []
        for i, one in enumerate(given):
            (tmp_path / str(i)).mkdir()
            settings = {"LOAN_INSTANCE": str(instance), "LOAN_BUNDLE": str(one.directory)}
            starts.append(start_server(tmp_path / str(i), workers=1, **settings))
        servers = list(pool.map(stack.enter_context, starts))
        key = servers[0].flask("api-keys", "create", "load")
        for server, one in zip(servers, given, strict=True):
            card = read(server, "/api/v1/models/current", Authorization=f"Bearer {key}")
            assert json.loads(card)["trained_at"] == one.manifest.trained_at.isoformat()

    kept = {path for path in (instance / "models").iterdir() if path.name != ".lock"}
    assert {read_bundle(path).digest for path in kept} == {one.digest for one in given}
    assert len(kept) == len(list((instance / "verified").iterdir())) == 2
    assert all(path.name.startswith(bundle.version) for path in kept)
