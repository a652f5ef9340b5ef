"""Compresses pages and pictures for browsers that accept gzip."""

import gzip
import secrets
from io import BytesIO

from flask import Flask, Response, request
from werkzeug.wrappers import Request

TYPES = frozenset({"text/html", "image/svg+xml"})
MIN_BYTES = 1_000  # less would fit into one packet anyway
LEVEL = 6  # for what is compressed for each response
MAX_PADDING = 100  # bytes


def init_app(app: Flask) -> None:
    app.after_request(_compress)


def accepts_gzip(request: Request) -> bool:
    return request.accept_encodings.quality("gzip") > 0


def compress(data: bytes, *, level: int, padding: int = 0) -> bytes:
    """Compress data; the padding is written as the file name in the header of gzip."""
    compressed = BytesIO()
    name = "x" * padding
    with gzip.GzipFile(name, "wb", compresslevel=level, fileobj=compressed, mtime=0) as file:
        file.write(data)
    return compressed.getvalue()


def _compress(response: Response) -> Response:
    if response.mimetype not in TYPES:
        return response
    response.vary.add("Accept-Encoding")
    ready = not (response.is_streamed or response.direct_passthrough or response.content_encoding)
    if not (ready and accepts_gzip(request)):
        return response
    body = response.get_data()
    if len(body) < MIN_BYTES:
        return response
    # A random length hides by how many bytes a guess that the page repeats makes it shorter
    # (BREACH). A CSRF token is signed anew for each page; sessions are SameSite=Lax.
    response.set_data(compress(body, level=LEVEL, padding=secrets.randbelow(MAX_PADDING)))
    response.content_encoding = "gzip"
    tag, _ = response.get_etag()
    if tag:
        response.set_etag(tag, weak=True)  # the same content in other bytes
    return response
