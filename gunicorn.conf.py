"""gunicorn's settings and server hooks."""

import contextlib
import ctypes
import gc
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections import Counter
from pathlib import Path

# Nearly all objects of a start stay in use, and garbage collection would take a fifth of its time.
# `_share` enables it again.
gc.disable()

# By default, glibc gives each thread a heap of its own, which keeps what the thread has freed. One
# heap for all threads of a process grows to a fifth of that, and is as fast under Python's lock.
M_ARENA_MAX = -8  # of malloc.h
with contextlib.suppress(AttributeError):  # not glibc
    ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)

# The workers' arrays are small, so threads of BLAS would only compete for the processors. NumPy
# reads this variable when the next lines import it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from ml.bundle.manifest import InvalidBundle
from webapp.beside import ProcessesBeside
from webapp.database import sqlite_journal
from webapp.failures import InvalidSetting
from webapp.serving.pin import Pin, pin_at_reload, pin_at_start, read_settings
from webapp.setting_types import MAX_PORT

METRICS = "PROMETHEUS_MULTIPROC_DIR"
OWN = "loan-desk-metrics-"  # prefix of a metrics folder that a start made for itself


def _stop(reason):
    on_exit(None)
    print(f"loan desk: {reason}", file=sys.stderr)
    sys.exit(2)


def on_exit(server):
    """End the processes beside the workers, and remove the metrics folder that this start made."""
    _end_beside(server)
    folder = os.environ.get(METRICS, "")
    if Path(folder).name.startswith(OWN):  # not by a variable, which a reload would reset
        shutil.rmtree(folder, ignore_errors=True)


def _end_beside(server):
    processes = getattr(server, "beside", None)
    if processes is not None:
        processes.end()


try:
    settings = read_settings()
except InvalidSetting as error:
    _stop(error)

wsgi_app = "webapp.wsgi:application"
bind = settings.bind
workers = settings.workers
threads = settings.threads + 1  # one more than slots, see webapp/slots.py
worker_class = "webapp.api.worker.DeskWorker"
loglevel = settings.log_level
control_socket_disable = True  # needs a home folder, which a read-only container does not have
worker_tmp_dir = (
    "/dev/shm" if Path("/dev/shm").is_dir() else None
)  # heartbeats never wait for a disk
graceful_timeout = 30
keepalive = 75  # seconds; longer than common clients and proxies keep an idle connection
forwarder_headers = ""  # no header may set SCRIPT_NAME or PATH_INFO

# Set before prometheus_client is imported, which reads it once. on_exit removes a folder made here.
if not os.environ.get(METRICS):
    os.environ[METRICS] = tempfile.mkdtemp(prefix=OWN)


def _check_address(server):
    """Stop with one line if the address cannot be used; gunicorn itself would try five times."""
    if {"GUNICORN_FD", "LISTEN_FDS"} & os.environ.keys():
        return  # another process has opened the socket
    for address in server.cfg.address:
        if isinstance(address, str):
            continue  # a UNIX socket
        host, port = address[:2]
        try:
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            shown = f"[{host}]" if ":" in host else host
            other = f"LOAN_BIND={shown}:{port % MAX_PORT + 1}"
            _stop(f"LOAN_BIND: {shown}:{port}: {error.strerror}. Choose another, such as {other}")


def on_starting(server):
    """Empty the metrics folder, and pin the bundle; an invalid bundle stops the start."""
    from webapp.metrics_files import remove_files  # noqa: PLC0415 - after the folder is set

    _check_address(server)
    folder = Path(os.environ[METRICS])
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _stop(f"{METRICS}: {folder}: {error.strerror}")
    remove_files(folder)
    try:
        pin_at_start(settings, server.log)
        _make_application()
    except (InvalidBundle, InvalidSetting) as error:
        _stop(error)
    _share()
    _let_new_workers_be_ended()


def _let_new_workers_be_ended():
    """Make SIGTERM end a worker that has not set its own signal handlers yet.

    Until then it has those of the master, which only store a signal. A stop would wait for such a
    worker until `graceful_timeout`.
    """
    ends = (signal.SIGTERM, signal.SIGQUIT)

    def in_worker():
        for number in ends:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ends)

    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ends),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, ends),
        after_in_child=in_worker,
    )


def _share():
    """Enable garbage collection, except for objects that the workers share with the master.

    It writes to every object that it checks, and memory that a worker writes to is copied for it.
    """
    gc.freeze()
    gc.enable()


def _make_application(**options):
    """Create the application once in the master, so that each worker starts quickly."""
    from webapp.wsgi import make_application  # noqa: PLC0415 - after the metrics folder is emptied

    make_application(**options)


def pre_fork(server, worker):
    """Choose the processor of a worker, if there is a worker for each.

    Python runs one thread of a process at a time. If the threads of a worker run on several
    processors, each of their many switches has to wake another processor; see ADR 0017.
    """
    processors = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    worker.processor = None
    if len(processors) > 1 and server.num_workers >= len(processors):
        taken = Counter(getattr(w, "processor", None) for w in server.WORKERS.values())
        worker.processor = min(processors, key=lambda p: taken[p])


def post_fork(server, worker):
    """Keep a worker on its processor."""
    if worker.processor is not None:
        os.sched_setaffinity(0, {worker.processor})


def post_worker_init(worker):
    """Start the worker's canary."""
    from webapp.serving import canary  # noqa: PLC0415 - after the metrics folder is set

    canary.start(worker.wsgi)


def when_ready(server):
    """Print the address, and start the processes beside the workers."""
    if settings.database.startswith("sqlite"):
        server.log.info("SQLite %s, journal %s", *sqlite_journal())
    host, _, port = settings.bind.rpartition(":")
    shown = "127.0.0.1" if host in ("", "0.0.0.0", "[::]") else host
    print(f"\n  Loan Desk is at http://{shown}:{port}\n", flush=True)
    _start_beside(server)


def on_reload(server):
    """Pin the bundle that is there now, for the workers and the processes that start next."""
    before = Pin.from_environment()
    pin_at_reload(settings, server.log)
    try:
        _make_application(compile_templates=True)  # with a new one that is invalid, nothing changes
    except Exception as error:  # raised, an error in a new template would end gunicorn
        before.hand_over()  # the previous application serves that bundle
        unexpected = not isinstance(error, InvalidSetting)
        message = "Still serving %s with the previous settings and templates: %s"
        server.log.error(message, before.directory, error, exc_info=unexpected)
    gc.unfreeze()
    gc.collect()  # frees the previous application, which would otherwise stay frozen
    _share()
    _end_beside(server)
    _start_beside(server)


def _start_beside(server):
    wanted = {"challenger": bool(settings.challenger), "monitor": settings.monitor}
    names = [name for name, runs in wanted.items() if runs]
    if not names:
        return
    # Without the metrics folder: its counts would be added to those of the workers.
    environment = {name: value for name, value in os.environ.items() if name != METRICS}
    # An attribute of the server, which outlives a reload.
    server.beside = ProcessesBeside(names, environment)


def child_exit(server, worker):
    """Remove the gauges of a worker that has ended, and add its counts to those of earlier ones."""
    from webapp.metrics_files import fold_ended  # noqa: PLC0415 - after the metrics folder is set

    try:
        fold_ended(Path(os.environ[METRICS]))
    except OSError as error:  # raised here, it would end gunicorn
        server.log.error("Metrics files of ended workers remain: %s", error)
