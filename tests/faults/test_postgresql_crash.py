"""PostgreSQL crashes under load: nothing is lost or doubled, and the service heals by itself."""

import json
import os
import signal
import subprocess
import urllib.request
from itertools import cycle
from threading import Event
from time import monotonic
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.fixtures.databases import running_postgresql

EVERY_SECONDS = 6
HEALS_SECONDS = 2
DOWN_SECONDS = 0.3  # at least
START_TRIES = 50
SHORT_FORM = 2 * 2  # seconds of load, for one crash of each kind


@pytest.fixture
def postgresql_server():
    """A server of its own, whose data is on disk."""
    with running_postgresql(durable=True) as server:
        yield server


def control(server, *arguments):
    """Run pg_ctl as the user of the server."""
    command = [server.bin_path / "pg_ctl", "-w", "-D", server.pgdata, *arguments]
    return subprocess.run(command, user=server.system_user, stdout=subprocess.DEVNULL)


def stop_at_once(server):
    """Let PostgreSQL abort, without a checkpoint."""
    assert control(server, "-m", "immediate", "stop").returncode == 0


def kill(server):
    """Kill the postmaster; its other processes notice it and end."""
    os.kill(int((server.pgdata / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)


def start(server):
    """Start it; processes of the killed one may still use its memory for a moment."""
    [folder] = parse_qs(urlsplit(server.get_uri()).query)["host"]
    for _ in range(START_TRIES):
        if control(server, "-l", server.log, "-o", f'-h "" -k {folder}', "start").returncode == 0:
            return
        Event().wait(0.1)
    raise AssertionError(server.log.read_text()[-2000:])


def state(url, path):
    try:
        with urllib.request.urlopen(f"{url}{path}", timeout=10) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


def check_down(url):
    """Wait until /readyz says that the database is down; /healthz still answers."""
    until = monotonic() + 10
    while (ready := state(url, "/readyz"))[0] == 200:
        assert monotonic() < until
    assert ready == (503, {"database": False, "bundle": True, "secret": True})
    assert state(url, "/healthz") == (200, {"status": "up"})


def test_crash_of_postgresql_loses_nothing(postgresql_server, start_desk, seconds, note, long_form):
    server, lasts, crashes, recovery = postgresql_server, seconds(SHORT_FORM), 0, 0.0
    every = EVERY_SECONDS if long_form else SHORT_FORM / 2
    until, ways = monotonic() + lasts, cycle([stop_at_once, kill])
    with start_desk(server.get_uri()) as desk:
        with desk.load as load:
            load.first_success_after(monotonic())
            while crashes < 2 or monotonic() < until:
                Event().wait(every / 2)
                next(ways)(server)
                crashes += 1
                check_down(desk.server.url)
                Event().wait(DOWN_SECONDS)
                start(server)
                recovery = max(recovery, load.first_success_after(monotonic()))
                assert state(desk.server.url, "/readyz")[0] == 200
                Event().wait(every / 2)
        found = desk.check()
    assert load.refused[503] > 0
    assert recovery <= HEALS_SECONDS
    note(
        "PostgreSQL stopped at once, or its postmaster killed, in turn",
        *(load, found),
        lasted=lasts,
        faults=crashes,
        recovery=recovery,
    )
