"""Defines the servers that are compared: Loan Desk on two databases, and its peers."""

import contextlib
import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.servers import ROOT, Server, clean_environment, free_port, started
from bench.stores import Postgresql, create_echoes, postgresql, sqlite_rows
from ml.bundle.manifest import CHAMPION
from ml.bundle.reader import Bundle

PEERS = ROOT / "bench/peers"
LOCK = PEERS / "requirements.lock"
PEERS_ENVIRONMENT = ROOT / "build/bench/peers"
WORKERS = 2
THREADS = 8
ECHO = "echo"
ECHO_SQLITE = "echo-sqlite"
ECHO_POSTGRESQL = "echo-postgresql"
FASTAPI = "fastapi"
DESK_SQLITE = "desk-sqlite"
DESK_POSTGRESQL = "desk-postgresql"
LABELS = {
    ECHO: "Flask echo",
    ECHO_SQLITE: "Flask echo, one durable insert, SQLite",
    ECHO_POSTGRESQL: "Flask echo, one durable insert, PostgreSQL",
    FASTAPI: "FastAPI + scikit-learn, stores nothing",
    DESK_SQLITE: "Loan Desk, SQLite",
    DESK_POSTGRESQL: "Loan Desk, PostgreSQL",
}


@dataclass(frozen=True)
class Store:
    """Where a server stores, and how to count what it has stored."""

    place: str  # the path of a SQLite file, or the URL of a PostgreSQL database
    rows: Callable[[], int]
    pid: int | None = None  # of the database server


@dataclass(frozen=True)
class Prepared:
    """Servers that can be started, and the PostgreSQL server of some of them."""

    servers: list[Server]
    postgresql: Postgresql | None


@contextlib.contextmanager
def prepared(names: list[str], bundle: Bundle, folder: Path) -> Iterator[Prepared]:
    """Prepare the named servers, with their databases in a folder."""
    with contextlib.ExitStack() as stack:
        database = None
        if {ECHO_POSTGRESQL, DESK_POSTGRESQL} & set(names):
            (folder / "postgresql").mkdir()
            database = stack.enter_context(postgresql(folder / "postgresql"))
        servers = [_prepare(name, bundle, folder, database) for name in names]
        yield Prepared(servers, database)


def _prepare(name: str, bundle: Bundle, folder: Path, database: Postgresql | None) -> Server:
    if name == FASTAPI:
        return fastapi(bundle)
    if name == ECHO:
        return echo(name, None)
    if name == ECHO_SQLITE:
        file = folder / "echoes.db"
        create_echoes(file)
        return echo(name, Store(str(file), sqlite_rows(file, "echoes")))
    if name == DESK_SQLITE:
        rows = sqlite_rows(folder / name / "loan_desk.db", "decisions")
        return desk(name, bundle, folder, Store("", rows))
    assert database is not None
    database.execute(f'CREATE DATABASE "{name}"')
    if name == DESK_POSTGRESQL:
        rows = database.rows(name, "decisions")
        return desk(name, bundle, folder, Store(database.url(name), rows, database.pid))
    table = "CREATE TABLE echoes (id bigserial PRIMARY KEY, body text NOT NULL)"
    database.execute(table, database=name)
    return echo(name, Store(database.url(name), database.rows(name, "echoes"), database.pid))


def echo(name: str, store: Store | None) -> Server:
    """Define a Flask echo under the gunicorn of this environment."""
    port = free_port()
    gunicorn = (sys.executable, "-m", "gunicorn", "--worker-class", "gthread")
    size = ("--workers", str(WORKERS), "--threads", str(THREADS))
    more = ("--bind", f"127.0.0.1:{port}", "--no-control-socket", "--worker-tmp-dir", "/dev/shm")
    return Server(
        name,
        (*gunicorn, *size, *more, "echo:app"),
        folder=PEERS,  # which has no gunicorn.conf.py
        port=port,
        path="/decisions",
        status=201 if store else 200,
        decides=False,
        environment={"STORE": store.place if store else ""},
        rows=store.rows if store else None,
        postgresql=store.pid if store else None,
    )


def fastapi(bundle: Bundle) -> Server:
    """Define the FastAPI service, and install what it needs."""
    install_peers()
    port = free_port()
    uvicorn = (str(PEERS_ENVIRONMENT / "bin/uvicorn"), "scoring:app", "--log-level", "warning")
    return Server(
        FASTAPI,
        (*uvicorn, "--no-access-log", "--workers", str(WORKERS), "--port", str(port)),
        folder=PEERS,
        port=port,
        path="/decisions",
        environment={
            "PYTHONPATH": str(ROOT),  # the classes of the pipeline
            "PIPELINE": str((bundle.directory / CHAMPION).resolve()),
            "THRESHOLD": str(bundle.threshold),
            "OPENBLAS_NUM_THREADS": "1",  # as in gunicorn.conf.py
            "OMP_NUM_THREADS": "1",
        },
    )


def install_peers() -> None:
    """Create the environment of the FastAPI service, unless it has what the lock file says."""
    stamp = PEERS_ENVIRONMENT / "installed"
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    print("installing the FastAPI service (once)", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", PEERS_ENVIRONMENT], check=True)
    pip: list[Path | str] = [
        PEERS_ENVIRONMENT / "bin/pip",
        "install",
        "-qq",
        "--disable-pip-version-check",
    ]
    subprocess.run([*pip, "--require-hashes", "-r", LOCK], check=True)
    stamp.write_text(digest)


def desk(name: str, bundle: Bundle, folder: Path, store: Store) -> Server:
    """Define Loan Desk as it is shipped; its tables exist and its bundle has been verified."""
    port = free_port()
    settings = {
        "LOAN_INSTANCE": str(folder / name),
        "LOAN_DATABASE_URL": store.place,
        "LOAN_BUNDLE": str(bundle.directory.resolve()),
        "LOAN_BIND": f"127.0.0.1:{port}",
        "LOAN_MONITOR": "no",  # a process of its own, which answers no requests
    }
    _flask("prepare", settings=settings)
    key = _flask("api-keys", "create", "bench", settings=settings).split()[-1]
    server = Server(
        name,
        (sys.executable, "-m", "gunicorn"),
        folder=ROOT,
        port=port,
        path="/api/v1/decisions",
        environment=settings,
        authorization=f"Bearer {key}",
        rows=store.rows,
        postgresql=store.pid,
    )
    with started(server, folder / f"{name}.log"):
        pass  # the first start verifies the bundle
    return server


def _flask(*arguments: str, settings: dict[str, str]) -> str:
    """Run a flask command of Loan Desk, and return what it prints."""
    command = [sys.executable, "-m", "flask", "--app", "webapp", *arguments]
    environment = clean_environment() | settings
    done = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout
