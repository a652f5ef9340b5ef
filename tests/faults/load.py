"""Clients that send decisions one after the other, and note what was acknowledged."""

import json
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from http.client import HTTPConnection, HTTPException
from random import Random
from threading import Event, Thread
from time import monotonic
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import uuid4

CLIENTS = 12
PAUSE_SECONDS = 0.05  # before a request is sent again
TIMEOUT_SECONDS = 90  # that a client waits for an answer
PATIENCE_SECONDS = 45  # that a client sends a request again
AGAIN = 5  # one of so many acknowledged requests is sent once more
REQUESTS_PER_CONNECTION = 10  # on average
REFUSALS = (503, 409)
PROBLEM = "application/problem+json"
MAX_WRONG = 20  # answers that are kept
NOTHING_STORED = "Nothing was stored"
PATH = "/api/v1/decisions"


@dataclass
class Sent:
    """A request, and what came of it."""

    key: str
    application: int  # its place among the applications
    id: int | None = None  # of the decision, once it is acknowledged
    acknowledged_at: float = 0
    answers: set[bytes] = field(default_factory=set)  # digests of the answers 201
    doubtful: bool = False  # whether it may have been stored before it was acknowledged


class Load:
    """Clients in a closed loop: each sends a request again until it is answered 201."""

    def __init__(self, url: str, api_key: str, applications: list[Any]) -> None:
        self._address = urlsplit(url).netloc
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
        self.applications = applications
        self._bodies = [json.dumps(a).encode() for a in applications]
        self.sent: list[Sent] = []
        self.refused: Counter[int] = Counter()
        self.cut = 0  # connections that ended without an answer
        self.wrong: list[str] = []  # answers that must not be given
        self.slowest = 0.0  # seconds until an answer
        self._stop = Event()
        self._threads = [Thread(target=self._run, args=(n,)) for n in range(CLIENTS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let each client finish its request."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def request(self, key: str, application: int) -> urllib.request.Request:
        """Return a single request with a key."""
        headers = {**self._headers, "Idempotency-Key": key}
        address = f"http://{self._address}{PATH}"
        return urllib.request.Request(address, self._bodies[application], headers)

    @property
    def acknowledged(self) -> list[Sent]:
        return [s for s in list(self.sent) if s.id is not None]

    def first_success_after(self, moment: float, *, within: float = 15) -> float:
        """Wait for the first answer 201 after a moment; return how many seconds later it came."""
        while monotonic() < moment + within:
            times = [s.acknowledged_at for s in self.sent[-1000:] if s.acknowledged_at > moment]
            if times:
                return min(times) - moment
            Event().wait(0.02)
        raise AssertionError(f"no success within {within} seconds: {self.refused}, {self.wrong}")

    def _run(self, number: int) -> None:
        random, connection = Random(number), HTTPConnection(self._address, timeout=TIMEOUT_SECONDS)
        while not self._stop.is_set():
            sent = Sent(str(uuid4()), random.randrange(len(self._bodies)))
            self.sent.append(sent)
            until = monotonic() + PATIENCE_SECONDS
            while not self._send(connection, sent) and monotonic() < until:
                Event().wait(PAUSE_SECONDS)
            if random.randrange(AGAIN) == 0:
                self._send(connection, sent)
            if random.randrange(REQUESTS_PER_CONNECTION) == 0:
                connection.close()  # the next one may lead to another worker
        connection.close()

    def _send(self, connection: HTTPConnection, sent: Sent) -> bool:
        """Send a request, and return whether it is acknowledged."""
        headers = {**self._headers, "Idempotency-Key": sent.key}
        started = monotonic()
        try:
            connection.request("POST", PATH, self._bodies[sent.application], headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, HTTPException):
            connection.close()
            self.cut += 1
            sent.doubtful = True
            return False
        self.slowest = max(self.slowest, monotonic() - started)
        if answer.status != 201:
            self._refused(sent, answer.status, answer.headers, body.decode())
            return False
        replayed = answer.headers["Idempotency-Replayed"] == "true"
        if replayed and not sent.doubtful:
            self.wrong.append(f"{sent.key}: it was stored, but no answer had said that it may be")
        sent.acknowledged_at, sent.doubtful = monotonic(), True
        sent.id = json.loads(body)["id"]
        sent.answers.add(sha256(body).digest())
        return True

    def _refused(self, sent: Sent, status: int, headers: Any, text: str) -> None:
        """Note a refusal, and whether it says that nothing was stored."""
        self.refused[status] += 1
        sent.doubtful = sent.doubtful or NOTHING_STORED not in text
        right = status in REFUSALS and headers["Content-Type"] == PROBLEM and headers["Retry-After"]
        if not right and len(self.wrong) < MAX_WRONG:
            self.wrong.append(f"{status} {headers['Content-Type']}: {text[:300]}")
