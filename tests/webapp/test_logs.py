"""Tests of webapp/logs.py: no client can forge a line of the log."""

import io
import logging

import pytest
from flask.logging import default_handler

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
FORGED = "svc\n[2026-01-01 00:00:00] INFO in pages: granted\x1b[2J\r\u2028"


@pytest.fixture
def written(app, monkeypatch):
    """The stream that Flask's handler writes to."""
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(default_handler.formatter)
    monkeypatch.setattr(app.logger, "handlers", [handler])
    return handler.stream


@ON_ONE
def test_a_forged_line_is_escaped(app, written):
    logging.getLogger("webapp.serving").warning("no model %s", FORGED)
    [line] = written.getvalue().splitlines()
    assert line.endswith(
        r"no model svc\n[2026-01-01 00:00:00] INFO in pages: granted\x1b[2J\r\u2028"
    )


@ON_ONE
def test_a_traceback_is_one_line(app, written):
    try:
        raise ValueError("first\nsecond")
    except ValueError as error:
        app.logger.error("unexpected", exc_info=error)
    [line] = written.getvalue().splitlines()
    assert r"ValueError: first\nsecond" in line


@ON_ONE
def test_a_path_cannot_forge_a_line(client, api_key, written):
    headers = {"Authorization": f"Bearer {api_key}"}
    client.get("/api/v1/models/svc%0Aforged%1B", headers=headers)
    assert "\nforged" not in written.getvalue()
    assert "\x1b" not in written.getvalue()
    assert r"svc\nforged" in written.getvalue()
