"""Files of applications, and how a clerk uploads and decides them."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from ml.product.application import Application
from ml.product.definition import Product

Upload = Callable[..., TestResponse]


@pytest.fixture
def write(product: Product) -> Callable[..., str]:
    """Write applications as a CSV file, with references or without."""
    names = [field.name for field in product.inputs]

    def lines(applications: Sequence[Application], references: Sequence[str] = ()) -> str:
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow([*names, "reference"] if references else names)
        for i, application in enumerate(applications):
            values = ["" if application[n] is None else application[n] for n in names]
            writer.writerow([*values, references[i]] if references else values)
        return out.getvalue()

    return lines


@pytest.fixture
def token() -> Callable[[str], str]:
    """Return the CSRF token of a page."""

    def find(text: str) -> str:
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', text)
        assert found
        return found[1]

    return find


@pytest.fixture
def upload(signed_in: FlaskClient, token: Callable[[str], str]) -> Upload:
    """Send a file to the page of batches."""

    def submit(
        data: str | bytes, name: str = "june.csv", browser: FlaskClient = signed_in, **values: Any
    ) -> TestResponse:
        page = browser.get("/batches").text
        submission = re.search(r'name="submission" value="([0-9a-f]+)"', page)
        assert submission
        body = data.encode() if isinstance(data, str) else data
        form = {"csrf_token": token(page), "submission": submission[1], **values}
        return browser.post("/batches", data={**form, "file": (io.BytesIO(body), name)})

    return submit


@pytest.fixture
def act(signed_in: FlaskClient, token: Callable[[str], str]) -> Upload:
    """Click a button on the page of a checked file: `decide` or `discard`."""

    def click(address: str, action: str, browser: FlaskClient = signed_in) -> TestResponse:
        data = {"csrf_token": token(browser.get("/batches").text)}
        return browser.post(f"{address}/{action}", data=data)

    return click


@pytest.fixture
def decide(
    upload: Upload, act: Upload, signed_in: FlaskClient, until: Callable[..., Any]
) -> Callable[..., str]:
    """Upload a file, decide it, and return the address of the batch."""

    def decide_file(data: str | bytes, browser: FlaskClient = signed_in) -> str:
        address = upload(data, browser=browser).location
        assert act(address, "decide", browser).status_code == 303
        until(lambda: "Download the result" in browser.get(address).text)
        return str(address)

    return decide_file


@pytest.fixture
def result(signed_in: FlaskClient) -> Callable[..., list[list[str]]]:
    """Download the result of a batch, and return its rows with the names of the columns first."""

    def rows(address: str, language: str = "en") -> list[list[str]]:
        headers = {"Accept-Language": language}
        answer = signed_in.get(f"{address}/result.csv", headers=headers)
        assert answer.mimetype == "text/csv"
        text = io.StringIO(answer.data.decode("utf-8-sig"), newline="")
        return list(csv.reader(text, delimiter=";" if language == "fr" else ","))

    return rows
