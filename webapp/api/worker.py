"""gunicorn's worker, with one thread that answers requests to decide together; see ADR 0019."""

import selectors
import socket
import time
from collections.abc import Sequence
from concurrent.futures import Future
from functools import cached_property
from threading import Lock, Thread
from typing import NamedTuple

from gunicorn.workers.gthread import PollableMethodQueue, TConn, ThreadWorker

from webapp.api.intake import CREATED, ForFlask, Intake
from webapp.api.messages import (
    REQUEST_LINE,
    IncompleteRequest,
    Response,
    UnusualRequest,
    read_request,
    write_response,
)
from webapp.decisions.deciding import Submitted
from webapp.failures import InvalidKey

RECEIVED_BYTES = 16_384  # of a request at once; one to decide has about 1,000
# That a request waits for others, if several came together before, or for its own second part.
GATHER_SECONDS = 0.0005
REST_SECONDS = 1.0  # without a request, after which a connection goes back to gunicorn
STUCK_SECONDS = 1.0  # for a group of requests, after which other connections do not wait for it
MAX_GROUP = 100  # requests that are answered together
# With any of these settings, gunicorn does something for each request.
FOR_EACH_REQUEST = (
    *("accesslog", "logconfig", "logconfig_dict", "logconfig_json", "syslog", "statsd_host"),
)


class DeskWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A worker with threads, in which connections that ask for decisions share one of them.

    gunicorn hands each request to a thread and back, and does much that a request to decide does
    not need. Together that takes as long as the decision, and requests come to the ledger one by
    one.
    """

    alive: bool  # until it stops

    def init_process(self) -> None:
        self._shared = SharedThread(self)
        super().init_process()

    def enqueue_req(self, conn: TConn) -> None:
        """Find a thread for a connection on which a request has come."""
        if self.alive and self._shared.takes(conn):
            self._shared.add(conn)
        else:
            self.enqueue_single(conn)

    def enqueue_single(self, conn: TConn) -> None:
        super().enqueue_req(conn)

    def enqueue_rest(self, conn: TConn, rest: bytes, *, keep: bool) -> None:
        """Let a thread of the pool send the rest of a response."""

        def send() -> bool:
            conn.sock.setblocking(True)
            conn.sock.sendall(rest)
            return keep

        sending = self.tpool.submit(send)
        sending.add_done_callback(
            lambda sent: self.method_queue.defer(self.finish_request, conn, sent)
        )

    def count_requests(self, count: int) -> None:
        """Count requests as gunicorn does, which replaces the worker after `max_requests`."""
        self.nr += count
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False

    def notify(self) -> None:
        super().notify()
        self._shared.release_if_stuck()

    def handle_exit(self, sig: int, frame: object) -> None:
        super().handle_exit(sig, frame)
        self._shared.wake()


class _Asked(NamedTuple):
    """A connection whose request can be answered, with the request."""

    conn: TConn
    sent: bytes
    submitted: Submitted


class SharedThread:
    """The thread that answers requests to decide, and the connections that it keeps.

    It takes only what has been sent, and sends only what can be sent at once. So no client can
    keep it waiting; only the database can.
    """

    def __init__(self, worker: DeskWorker) -> None:
        self._worker = worker
        self._thread: Thread | None = None
        self._inbox = PollableMethodQueue()  # calls from other threads
        self._inbox.init()
        self._usual = 0.0  # how many requests come together
        self._lock = Lock()  # held to use what stands below
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._inbox.fileno(), selectors.EVENT_READ)
        self._resting: dict[TConn, float] = {}  # since when, the earliest first
        self._since: float | None = None  # when it began to answer a group
        self._stuck = False

    def takes(self, conn: TConn) -> bool:
        """Return whether a connection that has had an answer can be added."""
        if not conn.initialized or conn.is_http2 or self._stuck or not self._has_to_itself:
            return False
        if conn.parser.unreader.buf.getvalue():  # gunicorn has read some of the request
            return False
        try:
            come = conn.sock.recv(len(REQUEST_LINE), socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except OSError:
            return False
        return bool(come == REQUEST_LINE)

    def add(self, conn: TConn) -> None:
        """Take over a connection; called by the main thread only, as `release_if_stuck` is."""
        self._inbox.defer(self._keep, conn)
        if self._thread is None:
            self._thread = Thread(target=self._run, name="shared", daemon=True)
            self._thread.start()

    def wake(self) -> None:
        self._inbox.defer(lambda: None)

    def release_if_stuck(self) -> None:
        """Give all other connections back if a group takes too long, because the database hangs."""
        with self._lock:
            if self._since is not None and time.monotonic() - self._since > STUCK_SECONDS:
                self._stuck = True
                self._inbox.run_callbacks(None)
                for conn in list(self._resting):
                    self._give_back(conn, keep=True)

    @cached_property
    def _has_to_itself(self) -> bool:
        """Whether gunicorn has nothing to do for each request."""
        config = self._worker.cfg
        return not config.is_ssl and not any(getattr(config, name) for name in FOR_EACH_REQUEST)

    @cached_property
    def _intake(self) -> Intake:
        intake: Intake = self._worker.wsgi.extensions["intake"]
        return intake

    def _run(self) -> None:
        while True:
            try:
                self._answer(self._wait())
            except Exception:  # a defect must not leave a connection open that nobody answers
                self._worker.log.exception("connections are closed")
                with self._lock:
                    self._since, self._stuck = None, False
                    for key in list(self._selector.get_map().values()):
                        if key.data is not None:  # nothing was read from those that rest
                            self._give_back(key.data, keep=key.data in self._resting)

    def _wait(self) -> list[_Asked]:
        """Return the requests that can be answered here, and give other connections back."""
        events = self._selector.select(REST_SECONDS)
        if 0 < len(events) < self._usual:
            time.sleep(GATHER_SECONDS)
            events = self._selector.select(0)
        with self._lock:
            if any(key.data is None for key, _ in events):
                self._inbox.run_callbacks(None)
            asked = self._read([key.data for key, _ in events if key.data is not None][:MAX_GROUP])
            before = time.monotonic() - REST_SECONDS
            for conn, since in list(self._resting.items()):
                if since > before and self._worker.alive:
                    break
                self._give_back(conn, keep=True)
            if asked:
                self._usual = max(len(asked), 0.8 * self._usual)
                self._since = time.monotonic()
        return asked

    def _read(self, conns: Sequence[TConn]) -> list[_Asked]:
        """Read whole requests to decide; let other threads answer what else has come."""
        asked: list[_Asked] = []
        incomplete = self._read_on(dict.fromkeys(conns, b""), asked)
        if incomplete:
            time.sleep(GATHER_SECONDS)  # many clients send the head and the body one by one
            for conn, sent in self._read_on(incomplete, asked).items():
                self._put_back(conn, sent)
        return asked

    def _read_on(self, begun: dict[TConn, bytes], asked: list[_Asked]) -> dict[TConn, bytes]:
        """Add whole requests to a list, and return what has come of others so far."""
        incomplete = {}
        for conn, before in begun.items():
            sent = before + _received(conn.sock)
            self._resting.pop(conn, None)
            try:
                submitted = self._intake.read(read_request(sent))
            except IncompleteRequest:
                incomplete[conn] = sent
            except (UnusualRequest, ForFlask, InvalidKey):
                self._put_back(conn, sent)
            else:
                asked.append(_Asked(conn, sent, submitted))
        return incomplete

    def _answer(self, asked: Sequence[_Asked]) -> None:
        if not asked:
            return
        responses = self._intake.answer_together([a.submitted for a in asked])
        self._worker.count_requests(sum(isinstance(r, Response) for r in responses))
        with self._lock:
            self._since, self._stuck = None, False
            for (conn, sent, _), response in zip(asked, responses, strict=True):
                if isinstance(response, Response):
                    self._send(conn, response)
                else:
                    self._intake.leave_to_flask(conn.sock, response)
                    self._put_back(conn, sent)

    def _send(self, conn: TConn, response: Response) -> None:
        keep = self._worker.alive and len(self._resting) < self._worker.max_keepalived
        message = write_response(CREATED, response, keep=keep)
        try:
            count = conn.sock.send(message, socket.MSG_DONTWAIT)
        except BlockingIOError:
            count = 0
        except OSError:  # the client has closed its connection
            count, keep = len(message), False
        if count < len(message):
            self._release(conn)
            self._worker.enqueue_rest(conn, message[count:], keep=keep)
        elif keep:
            self._resting[conn] = time.monotonic()
        else:
            self._give_back(conn, keep=False)

    def _keep(self, conn: TConn) -> None:
        self._selector.register(conn.sock, selectors.EVENT_READ, conn)
        self._resting[conn] = time.monotonic()

    def _release(self, conn: TConn) -> None:
        self._selector.unregister(conn.sock)
        self._resting.pop(conn, None)

    def _put_back(self, conn: TConn, sent: bytes) -> None:
        """Let a thread of the pool answer a request, from its beginning."""
        self._release(conn)
        conn.parser.unreader.unread(sent)
        self._worker.method_queue.defer(self._worker.enqueue_single, conn)

    def _give_back(self, conn: TConn, *, keep: bool) -> None:
        """Give a connection back to gunicorn, which keeps it open or closes it."""
        self._release(conn)
        done: Future[bool] = Future()
        done.set_result(keep)
        self._worker.method_queue.defer(self._worker.finish_request, conn, done)


def _received(sock: socket.socket) -> bytes:
    """Return what a client has sent; nothing if it has closed the connection."""
    try:
        return sock.recv(RECEIVED_BYTES, socket.MSG_DONTWAIT)
    except OSError:
        return b""
