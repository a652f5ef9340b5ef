"""gunicorn's worker, with one thread that answers requests to decide together; see ADR 0019."""

import re
import selectors
import socket
import time
from collections.abc import Iterable
from concurrent.futures import Future
from enum import Enum
from fcntl import ioctl
from functools import partial
from termios import TIOCOUTQ
from threading import Lock, Thread, current_thread

from gunicorn.workers.gthread import PollableMethodQueue, TConn, ThreadWorker

from webapp.api.intake import PATH
from webapp.gathering import run_together

REQUEST_LINE = f"POST {PATH} HTTP/1.1\r\n".encode()
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*(?:\r\n|\Z)")
PEEKED_BYTES = 16_384  # a request to decide has about 1,000
# That a request waits for others, if several came together before, or for its own second part.
GATHER_SECONDS = 0.0005
REST_SECONDS = 1.0  # without a request, after which a connection goes back to gunicorn
STUCK_SECONDS = 1.0  # for a group of requests, after which another thread answers the next one


class Received(Enum):
    """What a client has sent."""

    WHOLE = "a whole request to decide"
    PART = "the beginning of one"
    OTHER = "something else, or something before it has received all earlier answers"


class DeskWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A worker with threads, in which connections that ask for decisions share one of them.

    gunicorn hands each request to a thread and back. That takes as long as to make a decision, and
    the requests come to the ledger one by one.
    """

    def init_process(self) -> None:
        self._together = Together(self)
        super().init_process()

    def enqueue_req(self, conn: TConn) -> None:
        """Find a thread for a connection on which a request has come."""
        if self.alive and conn.initialized and self._together.received(conn) is not Received.OTHER:
            self._together.add(conn)
        else:
            self.enqueue_single(conn)

    def enqueue_single(self, conn: TConn) -> None:
        super().enqueue_req(conn)

    def notify(self) -> None:
        super().notify()
        self._together.relieve()

    def handle_exit(self, sig: int, frame: object) -> None:
        super().handle_exit(sig, frame)
        self._together.wake()


class Together:
    """The thread that answers requests to decide, and the connections that it keeps.

    It only takes requests that have come as a whole, from clients that have received all earlier
    answers. So no client can keep it waiting; only the database can.
    """

    def __init__(self, worker: DeskWorker) -> None:
        self._worker = worker
        self._selector = selectors.DefaultSelector()
        self._inbox = PollableMethodQueue()  # calls from other threads
        self._inbox.init()
        self._selector.register(self._inbox.fileno(), selectors.EVENT_READ)
        self._resting: dict[TConn, float] = {}  # since when, the earliest first
        self._usual = 0.0  # how many requests come together
        self._lock = Lock()  # held to use what stands below
        self._thread: Thread | None = None
        self._working: list[TConn] = []  # connections whose requests are being answered
        self._since = 0.0

    def received(self, conn: TConn) -> Received:
        if self._worker.cfg.is_ssl or conn.parser.unreader.buf.getvalue():
            return Received.OTHER
        return received(conn.sock)

    def add(self, conn: TConn) -> None:
        """Take over a connection."""
        self._inbox.defer(self._keep, conn)
        with self._lock:
            if self._thread is None:
                self._start()

    def wake(self) -> None:
        self._inbox.defer(lambda: None)

    def relieve(self) -> None:
        """Start another thread if this one does not come back, because the database hangs."""
        with self._lock:
            if self._working and time.monotonic() - self._since > STUCK_SECONDS:
                for conn in self._working:
                    self._selector.unregister(conn.sock)
                self._working = []
                self._start()

    def _start(self) -> None:
        self._thread = Thread(target=self._run, name="together", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while self._thread is current_thread():
            self._give_back_rested()
            events = self._selector.select(REST_SECONDS)
            if 0 < len(events) < self._usual:
                time.sleep(GATHER_SECONDS)
                events = self._selector.select(0)
            ready = self._ready(key.data for key, _ in events)
            if ready:
                self._usual = max(len(ready), 0.8 * self._usual)
                self._answer(ready)

    def _ready(self, conns: Iterable[TConn | None]) -> list[TConn]:
        """Return the connections whose requests can be answered here, and release the others."""
        sorted_: dict[Received, list[TConn]] = {kind: [] for kind in Received}
        for conn in conns:
            if conn is None:
                self._inbox.run_callbacks(None)
            else:
                sorted_[self.received(conn)].append(conn)
        ready, others = sorted_[Received.WHOLE], sorted_[Received.OTHER]
        if sorted_[Received.PART]:
            time.sleep(GATHER_SECONDS)  # many clients send the head and the body one by one
            for conn in sorted_[Received.PART]:
                (ready if self.received(conn) is Received.WHOLE else others).append(conn)
        for conn in others:
            self._release(conn)
            self._worker.method_queue.defer(self._worker.enqueue_single, conn)
        return ready

    def _answer(self, ready: list[TConn]) -> None:
        with self._lock:
            self._working, self._since = ready, time.monotonic()
        for conn in ready:
            del self._resting[conn]
        kept: dict[TConn, bool] = {}
        run_together(partial(self._handle, conn, kept) for conn in ready)
        with self._lock:
            relieved = self._thread is not current_thread()
            if not relieved:
                self._working = []
        for conn in ready:
            if relieved:
                self._give_back(conn, kept[conn])
                continue
            self._resting[conn] = time.monotonic()
            if not kept[conn] or conn.parser.unreader.buf.getvalue():
                self._release(conn)
                self._give_back(conn, kept[conn])

    def _handle(self, conn: TConn, kept: dict[TConn, bool]) -> None:
        kept[conn] = False
        try:
            kept[conn] = self._worker.handle(conn)
        except BaseException:
            self._worker.log.exception("a connection is closed")

    def _keep(self, conn: TConn) -> None:
        self._selector.register(conn.sock, selectors.EVENT_READ, conn)
        self._resting[conn] = time.monotonic()

    def _release(self, conn: TConn) -> None:
        self._selector.unregister(conn.sock)
        del self._resting[conn]

    def _give_back_rested(self) -> None:
        """Give connections back that are not used; gunicorn closes them after `keepalive`."""
        before = time.monotonic() - REST_SECONDS
        while self._resting:
            conn, since = next(iter(self._resting.items()))
            if since > before and self._worker.alive:
                break
            self._release(conn)
            self._give_back(conn, keep=True)

    def _give_back(self, conn: TConn, keep: bool) -> None:
        """Give a connection back to gunicorn, which keeps it open or closes it."""
        done: Future[bool] = Future()
        done.set_result(keep)
        self._worker.method_queue.defer(self._worker.finish_request, conn, done)


def received(sock: socket.socket) -> Received:
    """Return what a client has sent, without reading it."""
    try:
        come = sock.recv(PEEKED_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        if not come.startswith(REQUEST_LINE) or any(ioctl(sock, TIOCOUTQ, bytes(4))):
            return Received.OTHER
    except OSError:
        return Received.OTHER
    head, end, body = come.partition(b"\r\n\r\n")
    if not end:
        return Received.PART
    head = head.lower()
    length = CONTENT_LENGTH.search(head)
    if length is None or b"\r\ntransfer-encoding:" in head or int(length[1]) < len(body):
        return Received.OTHER
    return Received.WHOLE if int(length[1]) == len(body) else Received.PART
