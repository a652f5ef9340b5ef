"""A proxy of PostgreSQL that can drop the connection at a commit."""

import re
import socket
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from select import select
from socketserver import BaseRequestHandler, ThreadingUnixStreamServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest

COMMIT = b"COMMIT"


@dataclass
class Line:
    """The folder of the proxy's socket, and when it drops the connection."""

    folder: str
    cut: str = ""  # "before" the server sees a commit, or "after" it has answered


def handler(line: Line, target: str) -> type[BaseRequestHandler]:
    """Return a handler that forwards one connection until it drops it at a commit."""

    class Pass(BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as server, suppress(OSError):
                server.connect(target)
                committing = False
                while True:
                    ready, _, _ = select([self.request, server], [], [])
                    if self.request in ready:
                        data = self.request.recv(65536)
                        committing = COMMIT in data
                        if not data or (committing and line.cut == "before"):
                            return
                        server.sendall(data)
                    if server in ready:
                        data = server.recv(65536)
                        if not data or (committing and line.cut == "after"):
                            return
                        self.request.sendall(data)

    return Pass


@pytest.fixture
def line(database_url: str) -> Iterator[Line | None]:
    """The proxy of the application's database; None for SQLite."""
    if not database_url:
        yield None
        return
    [host] = parse_qs(urlsplit(database_url).query)["host"]
    [target] = Path(host).glob(".s.PGSQL.*[0-9]")
    with tempfile.TemporaryDirectory(prefix="loan-desk-line-") as folder:
        line = Line(folder)
        place = str(Path(folder) / target.name)
        with ThreadingUnixStreamServer(place, handler(line, str(target))) as server:
            thread = Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            yield line
            server.shutdown()
            thread.join()


@pytest.fixture
def by_line(line: Line | None, database_url: str) -> str:
    """The URL of the database through the proxy, if there is one."""
    return (
        database_url if line is None else re.sub("host=[^&]+", f"host={line.folder}", database_url)
    )
