"""Measures one server: its start, latency, rate, CPU time and memory, and that its answers hold."""

import http.client
import json
import os
import time
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from bench.applications import Sample
from bench.load import Load, send
from bench.machine import QUIET_CORES, foreign_cores, pss_mib, usage, wait_for_quiet
from bench.servers import Running, Server, ServerFailed, started
from bench.stores import Postgresql

CONNECTIONS = 16
CHECKED_EVERY = 10  # one of so many samples is sent and its answer compared, before the load
SETTLE_SECONDS = 0.2
STARTS = 3  # of which the median counts


@dataclass(frozen=True)
class Plan:
    """With what, how and how long to measure."""

    samples: list[Sample]
    folder: Path
    seconds: float = 10
    warm_up: float = 3  # seconds
    patience: float = 60  # seconds
    connections: int = CONNECTIONS

    @property
    def bodies(self) -> Path:
        """The file with the bodies of all samples, one a line."""
        return self.folder / "bodies.txt"

    def log(self, server: Server) -> Path:
        return self.folder / f"{server.name}.log"


@dataclass(frozen=True)
class Observed:
    """Something measured, and how many cores other processes used meanwhile."""

    foreign_cores: float

    @property
    def quiet(self) -> bool:
        return self.foreign_cores < QUIET_CORES


@dataclass(frozen=True)
class Start(Observed):
    """The time from the start of a server to its first answer."""

    seconds: float


@dataclass(frozen=True)
class Timed(Observed):
    """A load, and the CPU time that it cost the server."""

    load: Load
    cpu_seconds: float

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of CPU time for one request."""
        return self.cpu_seconds * 1e3 / max(1, self.load.requests)


Kind = TypeVar("Kind", bound=Observed)


@dataclass(frozen=True)
class Alone:
    """What one server did while no other one ran."""

    start: Start
    memory_mib: float  # after the load; with others, memory that they share would count less


@dataclass(frozen=True)
class Measurement:
    """What one server did in one round."""

    server: str
    alone: Alone
    many: Timed  # over several connections at once
    one: Timed  # over one connection

    @property
    def observed(self) -> list[Observed]:
        return [self.many, self.one]


def measure_alone(server: Server, plan: Plan, database: Postgresql | None) -> Alone:
    """Measure the start of a server and its memory, while no other server runs."""
    write_out(database)
    starts = [quietly(lambda: time_start(server, plan), plan.patience) for _ in range(STARTS)]
    start = sorted(starts, key=lambda start: start.seconds)[STARTS // 2]
    with started(server, plan.log(server)) as running:
        warm_up(running, plan)
        load(running, plan, plan.connections)
        return Alone(start, pss_mib([running.master, *running.workers()]))


def measure(running: Running, alone: Alone, plan: Plan, database: Postgresql | None) -> Measurement:
    """Load a server that runs."""
    write_out(database)
    one, many = (
        quietly(partial(load, running, plan, connections), plan.patience, running.roots)
        for connections in (1, plan.connections)
    )
    return Measurement(running.server.name, alone, many, one)


def time_start(server: Server, plan: Plan) -> Start:
    """Start a server, and stop it."""
    before = usage()
    with started(server, plan.log(server)) as running:
        after = usage([running.master])
    return Start(foreign_cores(before, after), running.start_seconds)


def write_out(database: Postgresql | None) -> None:
    """Write to the disk what would otherwise be written during a measurement."""
    if database is not None:
        database.execute("CHECKPOINT")
    os.sync()


def warm_up(running: Running, plan: Plan) -> None:
    """Check the answers of a server, then the statuses of all answers under load."""
    server = running.server
    check_answers(server, plan.samples[::CHECKED_EVERY])
    send(
        server,
        plan.bodies,
        connections=plan.connections,
        seconds=plan.warm_up,
        count_statuses=True,
    )
    if server.rows:
        settled(server.rows)


def check_answers(server: Server, samples: list[Sample]) -> None:
    """Send some applications, and compare status and decision with what is expected."""
    headers = {"Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    for sample in samples:
        if server.authorization:
            key = f'"{uuid.uuid4()}"'
            headers |= {"Authorization": server.authorization, "Idempotency-Key": key}
        connection.request("POST", server.path, sample.body, headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != server.status:
            raise ServerFailed(f"{server.name}: status {answer.status}: {content!r}")
        answer = json.loads(content)
        # The other services have no policy rules: compared is what the model says.
        if server.decides and answer.get("model_decision", answer["decision"]) != sample.decision:
            raise ServerFailed(f"{server.name}: not {sample.decision}: {content!r}")
    connection.close()


def quietly(run: Callable[[], Kind], patience: float, roots: Collection[int] = ()) -> Kind:
    """Wait and repeat until others leave the CPUs alone; return the least disturbed run."""
    end = time.monotonic() + patience
    wait_for_quiet(patience, roots)
    best = run()
    while not best.quiet and time.monotonic() < end:
        wait_for_quiet(end - time.monotonic(), roots)
        best = min(best, run(), key=lambda observed: observed.foreign_cores)
    return best


def load(running: Running, plan: Plan, connections: int) -> Timed:
    """Load a server once, and check that it stored what it acknowledged."""
    server = running.server
    stored_before = server.rows() if server.rows else 0
    before = usage(running.roots)
    result = send(server, plan.bodies, connections=connections, seconds=plan.seconds)
    after = usage(running.roots)
    if server.rows:
        stored = settled(server.rows) - stored_before
        # Requests that wrk cut off at its end may be stored too.
        if not result.requests <= stored <= result.requests + connections:
            raise ServerFailed(f"{server.name}: {stored} rows for {result.requests} answers")
    return Timed(foreign_cores(before, after), result, after.ours - before.ours)


def settled(rows: Callable[[], int]) -> int:
    """Return the number of rows once requests that were cut off have ended."""
    number = rows()
    while True:
        time.sleep(SETTLE_SECONDS)
        number, before = rows(), number
        if number == before:
            return number
