"""Parts that several tests of the web application ask for."""

import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from ml.bundle.reader import Bundle
from ml.product.application import Application
from ml.product.definition import Product
from ml.product.samples import examples
from ml.training.build import Origin, assemble
from ml.training.dataset import as_applications
from ml.training.train import Trained
from webapp import create_app
from webapp.columns import now
from webapp.config import Config
from webapp.database import sqlite_module
from webapp.decisions import service
from webapp.decisions.records import Decision
from webapp.decisions.tables import DecisionContents, DecisionRow
from webapp.extensions import db
from webapp.ledger.transaction import add_row, unit_of_work
from webapp.people.operators import Operator

Send = Callable[..., TestResponse]
Query = Callable[[str], list[tuple[Any, ...]]]
SECONDS = 60  # until something that must happen has happened
FACTS = (
    "channel, operator_id, product, model, probability, threshold, model_decision, decision, "
    "amount, novelty"
)
CONTENTS = "inputs, normalised, reasons"
PASSWORD = "correct horse battery"  # the clerk's, in tests/conftest.py


@pytest.fixture(scope="session")
def applications(product: Product) -> list[Application]:
    """Valid applications of every sort."""
    return examples(product, count=60, seed=1)


@pytest.fixture(scope="session")
def granted(applications: list[Application], bundle: Bundle) -> Application:
    """The application of the highest probability."""
    return max(applications, key=lambda a: bundle.scorer.score(a).probability)


@pytest.fixture(scope="session")
def refused(applications: list[Application], bundle: Bundle) -> Application:
    """The application of the lowest probability."""
    return min(applications, key=lambda a: bundle.scorer.score(a).probability)


@pytest.fixture(scope="session")
def typical(origin: Origin) -> Application:
    """An application like many that the model has learned from."""
    return as_applications(origin.data[0].head(1))[0]


@pytest.fixture(scope="session")
def another_bundle(
    tmp_path_factory: pytest.TempPathFactory, product: Product, trained: Trained, origin: Origin
) -> Bundle:
    """The same product decided by the other SVC, in a folder away from the first bundle's."""
    directory: Path = tmp_path_factory.mktemp("other") / "models" / product.name
    return assemble(directory, product, replace(trained, champion="svc_rbf"), origin)


@pytest.fixture(scope="session")
def read_page() -> Callable[[str], Element]:
    """Read a page's text into a tree of elements without namespaces."""
    return lambda text: html5lib.parse(text, namespaceHTMLElements=False)


@pytest.fixture(scope="session")
def texts() -> Callable[[Application], dict[str, str]]:
    """Write an application as a clerk types it."""
    return lambda values: {n: "" if v is None else str(v) for n, v in values.items()}


@pytest.fixture(scope="session")
def hidden() -> Callable[[FlaskClient], dict[str, str]]:
    """Open the form in a browser and return its hidden values."""

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
    """Open the form, fill it in and send it; keyword arguments take the place of its values."""

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
def query(config: Config) -> Query:
    """Ask the database through a connection of one's own, which sees only what is committed."""
    return lambda statement: ask(config.database_url or config.instance, statement)


@pytest.fixture
def query_at() -> Callable[[Any, str], list[tuple[Any, ...]]]:
    """Ask the database at an address, or the SQLite one in an instance folder."""
    return ask


def ask(where: Any, statement: str) -> list[tuple[Any, ...]]:
    if isinstance(where, str):
        with psycopg.connect(where, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []
    # The same SQLite as the service's: two different ones on one WAL file are not safe.
    module: type[sqlite3] = sqlite_module()
    file = f"file:{where / 'loan_desk.db'}?mode=rw"
    with closing(module.connect(file, uri=True, timeout=10, isolation_level=None)) as connection:
        return [tuple(row) for row in connection.execute(statement).fetchall()]


@pytest.fixture
def operator(app: Flask, query: Query) -> Operator:
    """The clerk."""
    return Operator("user", query("SELECT id FROM operators WHERE name = 'clerk'")[0][0], "clerk")


@pytest.fixture
def put(app: Flask, operator: Operator, bundle: Bundle) -> Callable[..., int]:
    """Put a refusal into the tables past the service; its number."""

    def store(application: Application, **columns: Any) -> int:
        contents = {
            "inputs": application,
            "normalised": bundle.scorer.score(application).normalised,
            "reasons": None,
        }
        contents |= {name: columns.pop(name) for name in set(contents) & set(columns)}
        row = {
            "created_at": now(),
            "channel": "desk",
            "operator_id": operator.id,
            "product": bundle.product.name,
            "model": "svc_linear-00000000",  # which is nowhere
            "probability": 0.25,
            "threshold": bundle.threshold,
            "model_decision": "refused",
            "decision": "refused",
            "amount": application[bundle.product.amount],
            "novelty": 0.5,
            **columns,
        }
        with app.app_context(), unit_of_work() as transaction:
            number = add_row(transaction, DecisionRow, **row)
            add_row(transaction, DecisionContents, decision_id=number, **contents)
        return number

    return store


@pytest.fixture(scope="session")
def take() -> Callable[..., Decision]:
    """Decide an application and store the decision, as an entry point does."""

    def decide(
        application: Application, *, operator: Operator, channel: str = "desk", **more: Any
    ) -> Decision:
        verdict = service.decide(application)
        contents = service.contents_of(application, verdict)
        with unit_of_work() as transaction:
            return service.add_decision(
                transaction, verdict, contents, operator=operator, channel=channel, **more
            )

    return decide


@pytest.fixture
def decide_all(
    app: Flask, operator: Operator, take: Callable[..., Decision]
) -> Callable[[Iterable[Application]], list[int]]:
    """Decide applications, one after the other, and return the decisions' numbers."""

    def decide(applications: Iterable[Application]) -> list[int]:
        with app.app_context():
            return [take(a, operator=operator).id for a in applications]

    return decide


@pytest.fixture
def copy(query: Query, config: Config) -> Callable[..., None]:
    """Copy a decision, as if it had been taken so many times at another moment.

    Keyword arguments are SQL that takes the place of a column.
    """

    def insert_again(number: int, moment: str, count: int = 1, **changed: str) -> None:
        [(last,)] = query("SELECT max(id) FROM decisions")
        times = (
            f"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
            "SELECT i FROM n) AS times"
        )
        facts = ", ".join(changed.get(name, name) for name in FACTS.split(", "))
        contents = ", ".join(changed.get(name, name) for name in CONTENTS.split(", "))
        query(
            f"INSERT INTO decisions (id, created_at, {FACTS}) SELECT {last} + i, '{moment}', "
            f"{facts} FROM decisions, {times} WHERE id = {number}"
        )
        query(
            f"INSERT INTO decision_contents (decision_id, {CONTENTS}) SELECT {last} + i, "
            f"{contents} FROM decision_contents, {times} WHERE decision_id = {number}"
        )
        if config.database_url:
            query(
                "SELECT setval(pg_get_serial_sequence('decisions', 'id'), max(id)) FROM decisions"
            )

    return insert_again


@pytest.fixture
def tamper(query: Query, config: Config) -> Callable[[str, int], None]:
    """Change a decision or its contents by hand, as an administrator of the database can."""

    def change(assignment: str, number: int) -> None:
        column = assignment.partition(" ")[0]
        contents = column in CONTENTS.split(", ")
        table, key = ("decision_contents", "decision_id") if contents else ("decisions", "id")
        update = f"UPDATE {table} SET {assignment} WHERE {key} = {number}"
        if config.database_url:
            query(f"ALTER TABLE {table} DISABLE TRIGGER {table}_keep")
            query(update)
            query(f"ALTER TABLE {table} ENABLE TRIGGER {table}_keep")
            return
        trigger = f"SELECT sql FROM sqlite_schema WHERE name = '{table}_no_UPDATE'"
        [(definition,)] = query(trigger)
        query(f"DROP TRIGGER {table}_no_UPDATE")
        query(update)
        query(definition)

    return change


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], Any]:
    """Wait until something is so, and return it."""

    def wait(happened: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + SECONDS
        while not (found := happened()):
            assert time.monotonic() < deadline
            Event().wait(0.05)
        return found

    return wait


@pytest.fixture
def another_app(config: Config) -> Callable[..., AbstractContextManager[Flask]]:
    """Make the application again on the same database, with other settings."""

    @contextmanager
    def make(**more: Any) -> Iterator[Flask]:
        app = create_app(replace(config, **more))
        try:
            yield app
        finally:
            with app.app_context():
                db.session.remove()
                db.engine.dispose()

    return make


@pytest.fixture
def restart(config: Config, client: FlaskClient) -> Iterator[Callable[[Path], FlaskClient]]:
    """Start the application again on the same database, with the bundle in another folder."""
    started = []

    def start(folder: Path) -> FlaskClient:
        app = create_app(replace(config, bundle=folder))
        app.testing = True
        app.test_client_class = type(client)
        started.append(app)
        return app.test_client()

    yield start
    for app in started:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


@pytest.fixture
def sign_in() -> Callable[..., FlaskClient]:
    """Let somebody sign in with a browser, the clerk unless told otherwise, and return it."""

    def enter(
        browser: FlaskClient, username: str = "clerk", password: str = PASSWORD
    ) -> FlaskClient:
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', browser.get("/login").text)[1]
        form = {"username": username, "password": password, "csrf_token": token}
        assert browser.post("/login", data=form).status_code == 302
        return browser

    return enter
