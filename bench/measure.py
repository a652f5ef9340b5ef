"""Measures one server: its start, latency, rate, CPU time and memory, and that its answers hold."""

import http.client
import json
import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.applications import Sample, write_bodies
from bench.load import Load, send
from bench.machine import QUIET_CORES, foreign_cores, pss_mib, usage, wait_for_quiet
from bench.servers import Running, Server, ServerFailed, started

CONNECTIONS = 16
CHECKED_EVERY = 10  # one of so many samples is sent and its answer compared, before the load
SETTLE_SECONDS = 0.2


@dataclass(frozen=True)
class Plan:
    """How long to measure, and with what."""

    seconds: float
    warm_up: float
    patience: float
    samples: list[Sample]
    folder: Path

    @property
    def bodies(self) -> Path:
        return self.folder / "bodies.txt"


@dataclass(frozen=True)
class Timed:
    """A load, the CPU time that it cost the server, and what others used meanwhile."""

    load: Load
    cpu_seconds: float
    foreign_cores: float

    @property
    def quiet(self) -> bool:
        return self.foreign_cores < QUIET_CORES

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of CPU time for one request."""
        return self.cpu_seconds * 1e3 / max(1, self.load.requests)


@dataclass(frozen=True)
class Measurement:
    """What one server did in one round."""

    server: str
    start_seconds: float
    many: Timed  # with CONNECTIONS connections
    one: Timed  # with one connection
    memory_mib: float


def measure(server: Server, plan: Plan) -> Measurement:
    """Start a server, load it and stop it."""
    write_bodies(plan.samples, plan.bodies)
    os.sync()  # what others left to be written would be written during the measurement
    wait_for_quiet(plan.patience)
    with started(server, plan.folder / f"{server.name}.log") as running:
        check_answers(server, plan.samples[::CHECKED_EVERY])
        load(running, plan, connections=CONNECTIONS, seconds=plan.warm_up, statuses=True)
        one = quietly(lambda: load(running, plan, connections=1), running, plan.patience)
        many = quietly(lambda: load(running, plan, connections=CONNECTIONS), running, plan.patience)
        memory = pss_mib([running.master, *running.workers()])
        return Measurement(server.name, running.start_seconds, many, one, memory)


def quietly(run: Callable[[], Timed], running: Running, patience: float) -> Timed:
    """Wait and repeat until others leave the CPUs alone; return the least disturbed run."""
    end = time.monotonic() + patience
    wait_for_quiet(patience, running.roots)
    best = run()
    while not best.quiet and time.monotonic() < end:
        wait_for_quiet(end - time.monotonic(), running.roots)
        best = min(best, run(), key=lambda timed: timed.foreign_cores)
    return best


def load(
    running: Running,
    plan: Plan,
    *,
    connections: int,
    seconds: float | None = None,
    statuses: bool = False,
) -> Timed:
    """Load a server once, and check that it stored what it acknowledged."""
    server = running.server
    stored = server.rows() if server.rows else 0
    before = usage(running.roots)
    result = send(
        server,
        plan.bodies,
        connections=connections,
        seconds=plan.seconds if seconds is None else seconds,
        statuses=statuses,
    )
    after = usage(running.roots)
    if server.rows:
        check_rows(server, settled(server.rows) - stored, result, connections)
    return Timed(result, after.ours - before.ours, foreign_cores(before, after))


def settled(rows: Callable[[], int]) -> int:
    """Return the number of rows once requests that were cut off have ended."""
    number = rows()
    while True:
        time.sleep(SETTLE_SECONDS)
        number, before = rows(), number
        if number == before:
            return number


def check_rows(server: Server, stored: int, result: Load, connections: int) -> None:
    """Each answered request is stored once; others may be stored if wrk stopped before."""
    if not result.requests <= stored <= result.requests + connections:
        raise ServerFailed(f"{server.name}: {stored} rows for {result.requests} answers")


def check_answers(server: Server, samples: list[Sample]) -> None:
    """Send some applications, and compare status and decision with what is expected."""
    headers = {"Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    for sample in samples:
        if server.authorization:
            headers |= {
                "Authorization": server.authorization,
                "Idempotency-Key": f'"{uuid.uuid4()}"',
            }
        connection.request("POST", server.path, sample.body, headers)
        answer = connection.getresponse()
        content = json.loads(answer.read())
        if answer.status != server.status:
            raise ServerFailed(f"{server.name}: status {answer.status}: {content}")
        if server.decides and content["decision"] != sample.decision:
            raise ServerFailed(f"{server.name}: {content['decision']} for {sample}")
    connection.close()
