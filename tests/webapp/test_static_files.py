"""The pages' files: names with a hash, caching, compression."""

import gzip
import re

import pytest

from webapp.compression import compress
from webapp.static_files import FOLDER, FOREVER, TYPES

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
LINKED = re.compile(r'(?:src|href)="(/static/[^"]+)"')
ZIPPED = {"Accept-Encoding": "gzip, deflate, br"}


@pytest.fixture
def linked(client):
    """The addresses of the files that a page loads."""
    return LINKED.findall(client.get("/login").text)


@ON_ONE
def test_page_links_files_by_names_that_change_with_them(client, linked):
    assert len(linked) >= 4
    for address in linked:
        assert re.fullmatch(r"/static/[a-z_.]+\.[0-9a-f]{12}\.(css|js|svg)", address)
        answer = client.get(address, headers=ZIPPED)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == FOREVER
        assert "Set-Cookie" not in answer.headers
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert answer.mimetype in TYPES.values()


@ON_ONE
def test_file_is_the_same_with_and_without_compression(app, client):
    for path in FOLDER.iterdir():
        with app.test_request_context():
            address = app.url_for("static", filename=path.name)
        plain, zipped = client.get(address), client.get(address, headers=ZIPPED)
        assert plain.content_encoding is None
        assert zipped.content_encoding == "gzip"
        assert gzip.decompress(zipped.data) == plain.data == path.read_bytes()


@ON_ONE
def test_name_of_another_version_is_asked_for_again(client):
    content = (FOLDER / "desk.css").read_bytes()
    for name in ("desk.css", "desk.0123456789ab.css"):
        answer = client.get(f"/static/{name}")
        assert answer.data == content
        assert answer.headers["Cache-Control"] == "public, no-cache"
        known = {"If-None-Match": answer.headers["ETag"]}
        assert client.get(f"/static/{name}", headers=known).status_code == 304


@ON_ONE
def test_unknown_file(client):
    hashed = "nothing.0123456789ab.css"
    for name in ("nothing.css", hashed, "../pyproject.toml", "desk", "%2e%2e%2fpyproject.toml"):
        assert client.get(f"/static/{name}").status_code == 404


@ON_ONE
def test_gzip_refused_by_the_browser(client, linked):
    for accepted in ("identity", "gzip;q=0", "", "br"):
        answer = client.get(linked[0], headers={"Accept-Encoding": accepted})
        assert answer.content_encoding is None


@ON_ONE
def test_page_is_compressed_for_browsers_that_accept_it(signed_in):
    plain = signed_in.get("/applications/new")
    zipped = signed_in.get("/applications/new", headers=ZIPPED)
    assert zipped.content_encoding == "gzip"
    assert zipped.content_length == len(zipped.data) < len(plain.data) / 2
    assert "Accept-Encoding" in zipped.headers["Vary"]
    assert gzip.decompress(zipped.data).startswith(b"<!doctype html>")


@ON_ONE
def test_same_page_has_different_lengths(signed_in):
    lengths = {len(signed_in.get("/applications/new", headers=ZIPPED).data) for _ in range(20)}
    assert max(lengths) - min(lengths) > 20


def test_padding_is_not_part_of_the_content():
    assert gzip.decompress(compress(b"content", level=1, padding=50)) == b"content"
    shorter, longer = (compress(b"content", level=1, padding=n) for n in (1, 50))
    assert len(longer) - len(shorter) == 49


@ON_ONE
def test_answer_of_the_api_is_not_compressed(post, granted):
    answer = post(granted)
    assert answer.status_code == 201
    assert answer.content_encoding is None


@ON_ONE
def test_plot_is_compressed_and_not_sent_again(signed_in):
    address = "/model/plots/calibration.en.light.svg"
    answer = signed_in.get(address, headers=ZIPPED)
    assert answer.content_encoding == "gzip"
    again = signed_in.get(address, headers={**ZIPPED, "If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    assert again.data == b""
