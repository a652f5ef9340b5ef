"""gunicorn's settings, and what happens before, between and after its workers."""

import gc
import os
import re
import shutil
import socket
import sys
import tempfile
from pathlib import Path

# Nearly all that a start makes stays, and looking for garbage in it takes a fifth of the time. See
# `_share`.
gc.disable()

# The workers' arithmetic is small; threads of BLAS would only fight over the processors. NumPy
# looks when it is imported, which the next line does.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from ml.bundle.manifest import InvalidBundle
from webapp.challenger.process import ChallengerProcess
from webapp.config import MAX_PORT
from webapp.database import sqlite_journal
from webapp.failures import InvalidSetting
from webapp.serving.pin import pin_at_reload, pin_at_start, read_settings

METRICS = "PROMETHEUS_MULTIPROC_DIR"
# A file of prometheus_client: its kind, for a gauge its mode, and a process.
WRITTEN = re.compile(r"(counter|gauge_[a-z]+|histogram|summary)_[0-9]+\.db")
OWN = "loan-desk-metrics-"  # how the name of a folder begins that a start made for itself


def _stop(reason):
    on_exit(None)
    print(f"loan desk: {reason}", file=sys.stderr)
    sys.exit(2)


def on_exit(server):
    """End the challenger, and remove the metrics folder that this start made."""
    _end_challenger(server)
    folder = os.environ.get(METRICS, "")
    if Path(folder).name.startswith(OWN):  # asked of the name, which outlives a reload
        shutil.rmtree(folder, ignore_errors=True)


def _end_challenger(server):
    process = getattr(server, "challenger", None)
    if process is not None:
        process.end()


try:
    settings = read_settings()
except InvalidSetting as error:
    _stop(error)

wsgi_app = "webapp.wsgi:application"
bind = settings.bind
workers = settings.workers
threads = settings.threads + 1  # one that webapp/slots.py keeps free of what may hang
worker_class = "gthread"
loglevel = settings.log_level
control_socket_disable = True  # a socket in the home folder, which a read-only container has not
worker_tmp_dir = (
    "/dev/shm" if Path("/dev/shm").is_dir() else None
)  # heartbeats never wait for a disk
graceful_timeout = 30
keepalive = 75  # seconds; longer than common clients and proxies keep an idle connection
forwarder_headers = ""  # nobody sets SCRIPT_NAME or PATH_INFO by a header

# Set before the workers import prometheus_client, which looks once. A folder of this start's own
# is removed again.
if not os.environ.get(METRICS):
    os.environ[METRICS] = tempfile.mkdtemp(prefix=OWN)


def _check_address(server):
    """Stop with one line where the address cannot be used: gunicorn would try five times."""
    if {"GUNICORN_FD", "LISTEN_FDS"} & os.environ.keys():
        return  # the socket is another process's, and open already
    for address in server.cfg.address:
        if isinstance(address, str):
            continue  # a UNIX socket
        host, port = address[:2]
        try:
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            other = f"LOAN_BIND={host}:{port % MAX_PORT + 1}"
            _stop(f"LOAN_BIND: {host}:{port}: {error.strerror}. Choose another, such as {other}")


def on_starting(server):
    """Empty the metrics folder, and pin the bundle; one that must not decide stops the start."""
    _check_address(server)
    folder = Path(os.environ[METRICS])
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.db"):
        if WRITTEN.fullmatch(file.name):  # the folder may hold a database of somebody's
            file.unlink()
    try:
        pin_at_start(settings, server.log)
        _make_application()
    except (InvalidBundle, InvalidSetting) as error:
        _stop(error)
    _share()


def _share():
    """Look for garbage from here on, but not in what the workers share with the master.

    Looking writes into objects, and what a worker writes to is copied for it.
    """
    gc.freeze()
    gc.enable()


def _make_application():
    """Make what the workers serve, once: each then starts in a few hundredths of a second."""
    from webapp.wsgi import make_application  # noqa: PLC0415 - once the metrics folder is empty

    make_application()


def when_ready(server):
    """Say where to go, and let the challenger begin."""
    if settings.database.startswith("sqlite"):
        server.log.info("SQLite %s, journal %s", *sqlite_journal())
    host, _, port = settings.bind.rpartition(":")
    shown = "127.0.0.1" if host in ("", "0.0.0.0", "[::]") else host
    print(f"\n  Loan Desk is at http://{shown}:{port}\n", flush=True)
    _start_challenger(server)


def on_reload(server):
    """Pin the bundle that is there now, for the workers and the challenger that start next."""
    pin_at_reload(settings, server.log)
    try:
        _make_application()
    except Exception as error:  # such as a template of a newer release; raised, it ends gunicorn
        unexpected = not isinstance(error, InvalidSetting)
        before = "Still serving with the settings and templates from before: %s"
        server.log.error(before, error, exc_info=unexpected)
    gc.unfreeze()
    gc.collect()  # the application from before, which would stay frozen
    _share()
    _end_challenger(server)
    _start_challenger(server)


def _start_challenger(server):
    if not settings.challenger:
        return
    # Without the metrics folder: what it counts would be added to what the workers count.
    environment = {name: value for name, value in os.environ.items() if name != METRICS}
    # Kept with the server, which outlives a reload.
    server.challenger = ChallengerProcess(environment)


def child_exit(server, worker):
    """Forget the gauges of a worker that is gone; what it counted stays counted."""
    for file in Path(os.environ[METRICS]).glob(f"gauge_*_{worker.pid}.db"):
        file.unlink(missing_ok=True)
