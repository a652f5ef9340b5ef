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
    # "before" the server sees a commit, "after" it has answered, or only "later", when the client
    # has the answer, and then for ever
    cut: str = ""
    lost: bool = False


def handler(proxy: Proxy, target: str) -> type[BaseRequestHandler]:
    """Return a handler that forwards one connection, and drops it at a commit if told to."""

    class Forward(BaseRequestHandler):
        committing = False

        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as server, suppress(OSError):
                server.connect(target)
                while not proxy.lost and self.forward(server):
                    pass

        def forward(self, server: socket.socket) -> bool:
            """Forward what one side has sent; return False if the connection ends."""
            ready, _, _ = select([self.request, server], [], [])
            if self.request in ready:
                data = self.request.recv(65536)
                self.committing = COMMIT in data
                if not data or (self.committing and proxy.cut == "before"):
                    return False
                server.sendall(data)
            if server in ready:
                data = server.recv(65536)
                if not data or (self.committing and proxy.cut == "after"):
                    return False
                self.request.sendall(data)
                proxy.lost = proxy.lost or (self.committing and proxy.cut == "later")
            return True

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
