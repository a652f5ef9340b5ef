"""Runs wrk, the load generator, against a server."""

import json
import os
import re
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.servers import Server

SCRIPT = Path(__file__).parent / "peers/post.lua"
THREADS = 2
TIMEOUT_SECONDS = 30


class LoadFailed(Exception):
    """wrk is missing or did not end as expected."""


@dataclass(frozen=True)
class Load:
    """The result of one run of wrk."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    failed: int  # answers with a status of 400 or more
    unexpected: int  # answers with another status than the expected one, if they were counted
    broken: int  # connections that failed, and answers that took too long

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def find_wrk() -> str:
    """Return the path of wrk."""
    path = shutil.which("wrk")
    if path is None:
        raise LoadFailed("wrk is not installed: apt-get install wrk")
    return path


def wrk_version() -> str:
    """Return the name and the version of wrk."""
    done = subprocess.run([find_wrk(), "-v"], capture_output=True, text=True, check=False)
    return " ".join(done.stdout.split()[:2])


def send(
    server: Server, bodies: Path, *, connections: int, seconds: float, count_statuses: bool = False
) -> Load:
    """Send requests for some seconds, and check that no answer failed, optionally each status."""
    environment = {"BODIES": str(bodies), "RUN": secrets.token_hex(4)}
    if server.authorization:
        environment["AUTHORIZATION"] = server.authorization
    if count_statuses:
        environment["STATUS"] = str(server.status)
    command = [
        *(find_wrk(), f"-t{min(THREADS, connections)}", f"-c{connections}"),
        *(f"-d{max(1, round(seconds))}s", "--timeout", f"{TIMEOUT_SECONDS}s", "-s", str(SCRIPT)),
        f"http://127.0.0.1:{server.port}{server.path}",
    ]
    inherited = {k: v for k, v in os.environ.items() if k not in ("AUTHORIZATION", "STATUS")}
    done = subprocess.run(
        command, env=inherited | environment, capture_output=True, text=True, check=False
    )
    result = re.search(r"^RESULT (.*)$", done.stdout, flags=re.M)
    if done.returncode or result is None:
        raise LoadFailed(f"wrk failed: {done.stdout}{done.stderr}")
    load = Load(**json.loads(result[1]))
    if load.failed or load.unexpected or load.broken:
        raise LoadFailed(f"{server.name}: some answers were wrong: {load}")
    return load
