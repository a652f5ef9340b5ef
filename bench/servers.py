"""A server that is measured: how it is started, asked and stopped."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.machine import descendants, processes

ROOT = Path(__file__).parent.parent
START_SECONDS = 120
STOP_SECONDS = 30


class ServerFailed(Exception):
    """A server did not start, did not stop or gave a wrong answer."""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def clean_environment() -> dict[str, str]:
    """Return this process's environment without settings of a service."""
    others = {k: v for k, v in os.environ.items() if not k.startswith(("LOAN_", "PROMETHEUS_"))}
    return others | {"FLASK_SKIP_DOTENV": "1"}


@dataclass(frozen=True)
class Server:
    """How to start one server, and how to ask it."""

    name: str
    command: tuple[str, ...]
    folder: Path
    port: int
    path: str
    status: int = 201
    decides: bool = True  # whether its answer holds a decision
    environment: Mapping[str, str] = field(default_factory=dict)
    authorization: str = ""
    rows: Callable[[], int] | None = None  # counts what has been stored
    postgresql: int | None = None  # the process id of its database server


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    server: Server
    master: int
    start_seconds: float

    @property
    def roots(self) -> list[int]:
        """The processes that, with their descendants, do the server's work."""
        return [self.master, *([self.server.postgresql] if self.server.postgresql else [])]

    def workers(self) -> set[int]:
        return descendants([self.master], processes()) - {self.master}


def is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@contextlib.contextmanager
def started(server: Server, log: Path) -> Iterator[Running]:
    """Run a server until the block ends."""
    with log.open("w") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            server.command,
            cwd=server.folder,
            env=clean_environment() | dict(server.environment),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            while not is_ready(server.port):
                late = time.perf_counter() - start > START_SECONDS
                if late or process.poll() is not None:
                    raise ServerFailed(f"{server.name} did not start: {log.read_text()}")
                time.sleep(0.005)
            yield Running(server, process.pid, time.perf_counter() - start)
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server and all its processes."""
    pids = descendants([process.pid], processes())
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(STOP_SECONDS)
