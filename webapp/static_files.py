"""Serves the pages' files under names that contain their hash, so that browsers keep them.

`url_for("static", filename="desk.css")` returns the name with the hash. A name without one, or with
that of another version, gets the file too, but browsers ask again each time: while a new version is
rolled out, a page of one replica may load its files from another.
"""

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.wrappers import Request, Response

from webapp.compression import accepts_gzip, compress
from webapp.config import ROOT
from webapp.people.security import response_headers

ENDPOINT = "static"
PREFIX = "/static/"
FOLDER = ROOT / "static"
BOOTSTRAP = "static/bootstrap5/css/bootstrap.min.css"  # in the package flask_bootstrap
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FOREVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "public, no-cache"
DIGITS = 12  # of the hash in a name
LEVEL = 9  # each file is compressed once
_HASHED = re.compile(rf"(?P<stem>.+)\.[0-9a-f]{{{DIGITS}}}(?P<suffix>\.[a-z]+)")
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


@dataclass(frozen=True)
class StaticFile:
    """A file's content."""

    name: str
    content: bytes

    @cached_property
    def hash(self) -> str:
        return hashlib.sha256(self.content).hexdigest()[:DIGITS]

    @cached_property
    def hashed_name(self) -> str:
        stem, _, suffix = self.name.rpartition(".")
        return f"{stem}.{self.hash}.{suffix}"

    @cached_property
    def compressed(self) -> bytes:
        return compress(self.content, level=LEVEL)


class StaticFiles:
    """WSGI middleware that answers requests for the files, and leaves all others to Flask."""

    def __init__(self, app: Flask) -> None:
        self._flask: Application = app.wsgi_app
        self._files = {path.name: StaticFile(path.name, path.read_bytes()) for path in _paths()}
        self._headers = response_headers(https=app.config["SESSION_COOKIE_SECURE"])

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401
        path = environ["PATH_INFO"]
        name = path.removeprefix(PREFIX)
        file = None if name == path else self._files.get(_HASHED.sub(r"\g<stem>\g<suffix>", name))
        if file is None or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return self._flask(environ, start_response)
        response = self._response(file, Request(environ), current=name == file.hashed_name)
        return response(environ, start_response)

    def add_hash(self, endpoint: str, values: dict[str, Any]) -> None:
        """Replace the name of a file in the values for a URL by the name that has its hash."""
        if endpoint == ENDPOINT and values.get("filename") in self._files:
            values["filename"] = self._files[values["filename"]].hashed_name

    def _response(self, file: StaticFile, request: Request, *, current: bool) -> Response:
        response = Response(
            file.content, content_type=f"{TYPES[Path(file.name).suffix]}; charset=utf-8"
        )
        if accepts_gzip(request):
            response.set_data(file.compressed)
            response.content_encoding = "gzip"
        response.headers.update(self._headers)
        response.headers["Cache-Control"] = FOREVER if current else ASK_AGAIN
        response.vary.add("Accept-Encoding")
        response.set_etag(file.hash, weak=True)
        return response.make_conditional(request)


def init_app(app: Flask) -> None:
    files = StaticFiles(app)
    app.wsgi_app = files  # type: ignore[method-assign]
    app.add_url_rule(f"{PREFIX}<filename>", ENDPOINT, build_only=True)
    app.url_defaults(files.add_hash)


def _paths() -> list[Traversable]:
    own = [path for path in FOLDER.iterdir() if path.suffix in TYPES]
    return [*own, resources.files("flask_bootstrap") / BOOTSTRAP]
