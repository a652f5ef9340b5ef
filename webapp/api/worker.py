"""gunicorn's worker, with one thread that answers requests to decide together; see ADR 0019."""

import re
import selectors
import socket
import time
from concurrent.futures import Future
from enum import Enum
from fcntl import ioctl
from functools import partial
from termios import TIOCOUTQ
from threading import Lock, Thread

from gunicorn.workers.gthread import PollableMethodQueue, TConn, ThreadWorker

from webapp.api.intake import PATH
from webapp.gathering import MadeElsewhere, run_together

REQUEST_LINE = f"POST {PATH} HTTP/1.1\r\n".encode()
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*(?:\r\n|\Z)")
PEEKED_BYTES = 16_384  # a request to decide has about 1,000
# That a request waits for others, if several came together before, or for its own second part.
GATHER_SECONDS = 0.0005
REST_SECONDS = 1.0  # without a request, after which a connection goes back to gunicorn
STUCK_SECONDS = 1.0  # for a group of requests, after which other connections do not wait for it
MAX_GROUP = 100  # requests that are answered together


class Received(Enum):
    """What a client has sent."""

    WHOLE = "a whole request to decide"
    PART = "the beginning of one"
    OTHER = "something else, or something before it has received all earlier answers"


class DeskWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A worker with threads, in which connections that ask for decisions share one of them.

    gunicorn hands each request to a thread and back. For requests to decide that costs a fifth of
    their rate, and they come to the ledger one by one.
    """

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

    def notify(self) -> None:
        super().notify()
        self._shared.release_if_stuck()

    def handle_exit(self, sig: int, frame: object) -> None:
        super().handle_exit(sig, frame)
        self._shared.wake()


class SharedThread:
    """The thread that answers requests to decide, and the connections that it keeps.

    It only takes requests that have come as a whole, from clients that have received all earlier
    answers, and gives only short answers. So no client can keep it waiting; only the database can.
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
        usable = conn.initialized and not conn.is_http2 and not self._worker.cfg.is_ssl
        return usable and not self._stuck and self._received(conn) is not Received.OTHER

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

    def _run(self) -> None:
        while True:
            try:
                self._answer(self._wait())
            except Exception:  # a defect must not leave connections open that nobody answers
                self._worker.log.exception("connections are closed")
                with self._lock:
                    self._since, self._stuck = None, False
                    for key in list(self._selector.get_map().values()):
                        if key.data is not None:
                            self._give_back(key.data, keep=False)

    def _wait(self) -> list[TConn]:
        """Return connections whose requests can be answered here, and give others back."""
        events = self._selector.select(REST_SECONDS)
        if 0 < len(events) < self._usual:
            time.sleep(GATHER_SECONDS)
            events = self._selector.select(0)
        with self._lock:
            ready = self._sort([key.data for key, _ in events])
            for conn in ready:
                del self._resting[conn]
            before = time.monotonic() - REST_SECONDS
            for conn, since in list(self._resting.items()):
                if since > before and self._worker.alive:
                    break
                self._give_back(conn, keep=True)
            if ready:
                self._usual = max(len(ready), 0.8 * self._usual)
                self._since = time.monotonic()
        return ready

    def _sort(self, conns: list[TConn | None]) -> list[TConn]:
        """Return those that have sent a whole request; let other threads answer the others."""
        if None in conns:
            self._inbox.run_callbacks(None)
        by_kind: dict[Received, list[TConn]] = {kind: [] for kind in Received}
        for conn in filter(None, conns):
            by_kind[self._received(conn)].append(conn)
        ready, others = by_kind[Received.WHOLE], by_kind[Received.OTHER]
        if by_kind[Received.PART]:
            time.sleep(GATHER_SECONDS)  # many clients send the head and the body one by one
            for conn in by_kind[Received.PART]:
                (ready if self._received(conn) is Received.WHOLE else others).append(conn)
        for conn in others:
            self._release(conn)
            self._worker.method_queue.defer(self._worker.enqueue_single, conn)
        return ready[:MAX_GROUP]

    def _answer(self, ready: list[TConn]) -> None:
        keep: dict[TConn, bool] = {}
        run_together(partial(self._handle, conn, keep) for conn in ready)
        with self._lock:
            self._since, self._stuck = None, False
            for conn in ready:
                self._resting[conn] = time.monotonic()
                if not keep[conn] or _read_ahead(conn):
                    self._give_back(conn, keep=keep[conn])

    def _handle(self, conn: TConn, keep: dict[TConn, bool]) -> None:
        keep[conn] = False
        try:
            keep[conn] = self._answer_or_put_back(conn)
        except OSError:
            self._worker.log.debug("a client has closed its connection")
        except BaseException:
            self._worker.log.exception("a connection is closed")

    def _answer_or_put_back(self, conn: TConn) -> bool:
        """Answer a request, or put it back for another thread if it leads to no new decision.

        Returns whether to keep the connection.
        """
        request = conn.sock.recv(PEEKED_BYTES, socket.MSG_PEEK)
        try:
            keep: bool = self._worker.handle(conn)
        except MadeElsewhere:
            keep = conn.parser.finish_body()
            conn.parser.mesg = None
            conn.parser.unreader.unread(request)
        return keep

    def _received(self, conn: TConn) -> Received:
        return Received.OTHER if _read_ahead(conn) else received(conn.sock)

    def _keep(self, conn: TConn) -> None:
        self._selector.register(conn.sock, selectors.EVENT_READ, conn)
        self._resting[conn] = time.monotonic()

    def _release(self, conn: TConn) -> None:
        self._selector.unregister(conn.sock)
        self._resting.pop(conn, None)

    def _give_back(self, conn: TConn, *, keep: bool) -> None:
        """Give a connection back to gunicorn, which keeps it open or closes it.

        It lets a thread of the pool answer a request that was put back.
        """
        self._release(conn)
        done: Future[bool] = Future()
        done.set_result(keep)
        self._worker.method_queue.defer(self._worker.finish_request, conn, done)


def _read_ahead(conn: TConn) -> bytes:
    """Return what gunicorn has read, or what was put back, of the next request."""
    read: bytes = conn.parser.unreader.buf.getvalue()
    return read


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
