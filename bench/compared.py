"""Defines the servers that are compared: Loan Desk on two databases, and its peers."""

import contextlib
import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.servers import ROOT, Server, clean_environment, free_port, started
from bench.stores import Postgresql, create_echoes, postgresql, sqlite_rows
from ml.bundle.manifest import CHAMPION
from ml.bundle.reader import Bundle

PEERS = ROOT / "bench/peers"
LOCK = PEERS / "requirements.lock"
PEERS_ENVIRONMENT = ROOT / "build/bench/peers"
WORKERS = 2
THREADS = 4
ECHO = "echo"
ECHO_SQLITE = "echo-sqlite"
ECHO_POSTGRESQL = "echo-postgresql"
FASTAPI = "fastapi"
DESK_SQLITE = "desk-sqlite"
DESK_POSTGRESQL = "desk-postgresql"
NAMES = (ECHO, ECHO_SQLITE, ECHO_POSTGRESQL, FASTAPI, DESK_SQLITE, DESK_POSTGRESQL)


@contextlib.contextmanager
def prepared(names: list[str], bundle: Bundle, folder: Path) -> Iterator[list[Server]]:
    """Prepare the named servers and their databases in a folder."""
    with contextlib.ExitStack() as stack:
        database = None
        if {ECHO_POSTGRESQL, DESK_POSTGRESQL} & set(names):
            (folder / "postgresql").mkdir()
            database = stack.enter_context(postgresql(folder / "postgresql"))
        servers = [define(name, bundle, folder, database) for name in names]
        yield servers


def define(name: str, bundle: Bundle, folder: Path, database: Postgresql | None) -> Server:
    """Prepare one server."""
    if name == FASTAPI:
        return fastapi(bundle)
    if name == ECHO:
        return echo(name, "Flask echo", status=200)
    if name == ECHO_SQLITE:
        file = folder / "echoes.db"
        create_echoes(file)
        label = "Flask echo + one durable insert, SQLite"
        return echo(name, label, store=str(file), rows=sqlite_rows(file, "echoes"))
    if name == DESK_SQLITE:
        file = folder / name / "loan_desk.db"
        return desk(name, "Loan Desk, SQLite", bundle, folder, rows=sqlite_rows(file, "decisions"))
    assert database is not None
    database.execute(f'CREATE DATABASE "{name}"')
    if name == ECHO_POSTGRESQL:
        table = "CREATE TABLE echoes (id bigserial PRIMARY KEY, body text NOT NULL)"
        database.execute(table, database=name)
        return echo(
            name,
            "Flask echo + one durable insert, PostgreSQL",
            store=database.url(name),
            rows=database.rows(name, "echoes"),
            pid=database.pid,
        )
    return desk(
        name,
        "Loan Desk, PostgreSQL",
        bundle,
        folder,
        database_url=database.url(name),
        rows=database.rows(name, "decisions"),
        pid=database.pid,
    )


def echo(
    name: str,
    label: str,
    *,
    store: str = "",
    status: int = 201,
    rows: Callable[[], int] | None = None,
    pid: int | None = None,
) -> Server:
    """Define a Flask echo under our own gunicorn."""
    port = free_port()
    gunicorn = (sys.executable, "-m", "gunicorn", "--worker-class", "gthread")
    size = ("--workers", str(WORKERS), "--threads", str(THREADS))
    more = ("--bind", f"127.0.0.1:{port}", "--no-control-socket", "--worker-tmp-dir", "/dev/shm")
    return Server(
        name,
        label,
        (*gunicorn, *size, *more, "echo:app"),
        folder=PEERS,  # which has no gunicorn.conf.py
        port=port,
        path="/decisions",
        status=status,
        decides=False,
        environment={"STORE": store},
        rows=rows,
        postgresql=pid,
    )


def fastapi(bundle: Bundle) -> Server:
    """Define the FastAPI service, and install what it needs."""
    install_peers()
    port = free_port()
    uvicorn = (str(PEERS_ENVIRONMENT / "bin/uvicorn"), "scoring:app", "--log-level", "warning")
    return Server(
        FASTAPI,
        "FastAPI + scikit-learn, stores nothing",
        (*uvicorn, "--no-access-log", "--workers", str(WORKERS), "--port", str(port)),
        folder=PEERS,
        port=port,
        path="/decisions",
        environment={
            "PYTHONPATH": str(ROOT),
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
    print("installing the FastAPI peer (once)", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", PEERS_ENVIRONMENT], check=True)
    # pip's notes would be printed between the results; its errors are not hidden by two q's.
    pip = [PEERS_ENVIRONMENT / "bin/pip", "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", LOCK], check=True)
    stamp.write_text(digest)


def desk(
    name: str,
    label: str,
    bundle: Bundle,
    folder: Path,
    *,
    database_url: str = "",
    rows: Callable[[], int],
    pid: int | None = None,
) -> Server:
    """Define Loan Desk as it is shipped; its tables exist and its bundle has been verified."""
    port = free_port()
    settings = {
        "LOAN_INSTANCE": str(folder / name),
        "LOAN_DATABASE_URL": database_url,
        "LOAN_BUNDLE": str(bundle.directory.resolve()),
        "LOAN_BIND": f"127.0.0.1:{port}",
    }
    flask("prepare", settings=settings)
    key = flask("api-keys", "create", "bench", settings=settings).split()[-1]
    server = Server(
        name,
        label,
        (sys.executable, "-m", "gunicorn"),
        folder=ROOT,
        port=port,
        path="/api/v1/decisions",
        environment=settings,
        authorization=f"Bearer {key}",
        rows=rows,
        postgresql=pid,
    )
    with started(server, folder / f"{name}.log"):
        pass  # the first start verifies the bundle
    return server


def flask(*arguments: str, settings: dict[str, str]) -> str:
    """Run a flask command of Loan Desk, and return what it prints."""
    command = [sys.executable, "-m", "flask", "--app", "webapp", *arguments]
    environment = clean_environment() | settings
    done = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout
