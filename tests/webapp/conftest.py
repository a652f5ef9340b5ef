"""Fixtures that several tests of the web application share."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from ml.bundle.decide import decide
from ml.bundle.reader import Bundle
from ml.product.application import Application, Submission
from ml.product.definition import Product
from ml.training.build import Origin, assemble
from ml.training.dataset import as_applications, read_rows
from ml.training.train import Trained
from tests.fixtures.databases import disconnect
from webapp import create_app
from webapp.config import Config
from webapp.decisions.circumstances import Circumstances
from webapp.decisions.ruling import rule

Send = Callable[..., TestResponse]
MAX_WAIT_SECONDS = 60  # for a condition
PASSWORD = "correct horse battery"  # the clerk's, in tests/conftest.py


@pytest.fixture(scope="session")
def rows_as_applications(product: Product) -> list[Application]:
    """All rows that the product is trained on, as applications."""
    return as_applications(read_rows(product, product.data_file).fields)


@pytest.fixture(scope="session")
def applications(rows_as_applications: list[Application]) -> list[Application]:
    """Varied applications, of which some are referred."""
    return rows_as_applications[::60][:60]


def undisputed(applications: list[Application], bundle: Bundle) -> list[Application]:
    """Return the applications on which the model alone decides."""
    verdicts = [decide(bundle, application) for application in applications]
    submissions = [Submission(application) for application in applications]
    rulings = [
        rule(bundle.product, submission, verdict, Circumstances())
        for submission, verdict in zip(submissions, verdicts, strict=True)
    ]
    return [a for a, r in zip(applications, rulings, strict=True) if r.basis == "model"]


@pytest.fixture(scope="session")
def granted(rows_as_applications: list[Application], bundle: Bundle) -> Application:
    """The application with the highest probability, of those that no person must decide."""
    some = undisputed(rows_as_applications[:200], bundle)
    return max(some, key=lambda a: bundle.scorer.score(a).probability)


@pytest.fixture(scope="session")
def refused(
    rows_as_applications: list[Application], product: Product, bundle: Bundle
) -> Application:
    """The application with the lowest probability among those that lack an answer.

    The model alone decides it. Its price is below the largest amount, so that a test can enter an
    amount above the price.
    """
    largest = product.by_name["loan_amount"].maximum
    prices = range(6_000, largest)
    some = [a for a in rows_as_applications if None in a.values() and a["purchase_price"] in prices]
    return min(undisputed(some, bundle), key=lambda a: bundle.scorer.score(a).probability)


@pytest.fixture(scope="session")
def typical(origin: Origin) -> Application:
    """An application from the training data."""
    return as_applications(origin.rows.fields.head(1))[0]


@pytest.fixture(scope="session")
def another_bundle(
    tmp_path_factory: pytest.TempPathFactory, product: Product, trained: Trained, origin: Origin
) -> Bundle:
    """A bundle of the same product, with the other SVC as champion, in another folder."""
    directory: Path = tmp_path_factory.mktemp("other") / "models" / product.name
    return assemble(directory, product, replace(trained, champion="svc_rbf"), origin)


@pytest.fixture(scope="session")
def read_page() -> Callable[[str], Element]:
    """Parse the text of a page into a tree of elements without namespaces."""
    return lambda text: html5lib.parse(text, namespaceHTMLElements=False)


@pytest.fixture(scope="session")
def texts() -> Callable[[Application], dict[str, str]]:
    """Write an application as a clerk types it."""
    return lambda values: {n: "" if v is None else str(v) for n, v in values.items()}


@pytest.fixture(scope="session")
def hidden() -> Callable[[FlaskClient], dict[str, str]]:
    """Open the form with a client and return its hidden values."""

    def find(browser: FlaskClient) -> dict[str, str]:
        page = browser.get("/applications/new").text
        form = page[page.index('id="application"') :]
        inputs = re.findall(r"<input[^>]*type=\"hidden\"[^>]*>", form)
        return {
            re.search(r'name="([^"]*)"', i)[1]: re.search(r'value="([^"]*)"', i)[1] for i in inputs
        }

    return find


@pytest.fixture
def send(signed_in: FlaskClient, hidden: Any, texts: Any) -> Send:
    """Open the form, fill it in and send it; keyword arguments replace values."""

    def submit(values: Application, **more: str) -> TestResponse:
        data = {**hidden(signed_in), **texts(values), **more}
        return signed_in.post("/applications/new", data=data)

    return submit


@pytest.fixture
def post(client: FlaskClient, api_key: str) -> Send:
    """Post an application to the API, or the body given, with a valid key."""

    def request(values: Application | None = None, **more: Any) -> TestResponse:
        given = {"headers": {"Authorization": f"Bearer {api_key}"}, **more}
        return client.post("/api/v1/decisions", **({"json": values} if values else {}), **given)

    return request


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], Any]:
    """Wait until a function returns a true value, and return that value."""

    def wait(condition: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + MAX_WAIT_SECONDS
        while not (result := condition()):
            assert time.monotonic() < deadline
            Event().wait(0.05)
        return result

    return wait


@pytest.fixture
def another_app(config: Config) -> Callable[..., AbstractContextManager[Flask]]:
    """Make the application again on the same database, with other settings."""

    @contextmanager
    def make(**more: Any) -> Iterator[Flask]:
        app = create_app(config.model_copy(update=more))
        try:
            yield app
        finally:
            disconnect(app)

    return make


@pytest.fixture
def restart(config: Config, client: FlaskClient) -> Iterator[Callable[[Path], FlaskClient]]:
    """Start the application again on the same database, with the bundle in another folder."""
    started = []

    def start(folder: Path) -> FlaskClient:
        app = create_app(config.model_copy(update={"bundle": folder}))
        app.testing = True
        app.test_client_class = type(client)
        started.append(app)
        return app.test_client()

    yield start
    for app in started:
        disconnect(app)


@pytest.fixture
def sign_in() -> Callable[..., FlaskClient]:
    """Sign a user in with a client, by default the clerk, and return the client."""

    def enter(
        browser: FlaskClient, username: str = "clerk", password: str = PASSWORD
    ) -> FlaskClient:
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', browser.get("/login").text)[1]
        form = {"username": username, "password": password, "csrf_token": token}
        assert browser.post("/login", data=form).status_code == 302
        return browser

    return enter
