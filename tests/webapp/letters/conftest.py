"""Letters that clerks make, by the form of a decision's page."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.fixtures.desk import token

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def article(text: str) -> str:
    """Return the letter in a page, as it is."""
    return re.search(r"<article.*</article>", text, re.DOTALL)[0]


@pytest.fixture
def write(signed_in: FlaskClient) -> Callable[..., TestResponse]:
    """Send the form of a letter on a decision."""

    def send(decision: int, /, **values: Any) -> TestResponse:
        form = {
            "csrf_token": token(signed_in, f"/decisions/{decision}"),
            "kind": "refused",
            "number": "1",
            "language": "en",
            "recipient": "",
            **{name: str(value) for name, value in values.items()},
        }
        return signed_in.post(f"/decisions/{decision}/letters", data=form)

    return send


@pytest.fixture
def run(app: Flask) -> Callable[..., tuple[int, list[str]]]:
    """Run a flask command; return its exit code and the lines of its output."""

    def invoke(*arguments: object) -> tuple[int, list[str]]:
        done = app.test_cli_runner().invoke(args=[*map(str, arguments)])
        return done.exit_code, (done.stdout + done.stderr).splitlines()

    return invoke


@pytest.fixture
def refusal(decide_all: Callable[..., list[int]], refused: dict[str, Any]) -> int:
    """The number of a refusal."""
    return decide_all([refused])[0]
