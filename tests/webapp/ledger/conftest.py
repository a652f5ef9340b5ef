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
class Proxy:
    """The folder of the proxy's socket, and when the proxy drops a connection."""

    folder: str
    cut: str = ""  # "before" the server sees a commit, or "after" it has answered


def handler(proxy: Proxy, target: str) -> type[BaseRequestHandler]:
    """Return a handler that forwards one connection, and drops it at a commit if told to."""

    class Forward(BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as server, suppress(OSError):
                server.connect(target)
                committing = False
                while True:
                    ready, _, _ = select([self.request, server], [], [])
                    if self.request in ready:
                        data = self.request.recv(65536)
                        committing = COMMIT in data
                        if not data or (committing and proxy.cut == "before"):
                            return
                        server.sendall(data)
                    if server in ready:
                        data = server.recv(65536)
                        if not data or (committing and proxy.cut == "after"):
                            return
                        self.request.sendall(data)

    return Forward


@pytest.fixture
def proxy(database_url: str) -> Iterator[Proxy | None]:
    """The proxy of the application's database; None for SQLite."""
    if not database_url:
        yield None
        return
    [host] = parse_qs(urlsplit(database_url).query)["host"]
    [target] = Path(host).glob(".s.PGSQL.*[0-9]")
    with tempfile.TemporaryDirectory(prefix="loan-desk-proxy-") as folder:
        proxy = Proxy(folder)
        address = str(Path(folder) / target.name)
        with ThreadingUnixStreamServer(address, handler(proxy, str(target))) as server:
            thread = Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            yield proxy
            server.shutdown()
            thread.join()


@pytest.fixture
def proxied_url(proxy: Proxy | None, database_url: str) -> str:
    """The URL of the database through the proxy, if there is one."""
    if proxy is None:
        return database_url
    return re.sub("host=[^&]+", f"host={proxy.folder}", database_url)
