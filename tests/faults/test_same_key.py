"""One key sent by many threads at once to several workers: one decision, equal answers."""

import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import monotonic

from tests.faults.load import Sent
from tests.faults.stored import COUNT
from tests.fixtures.store import ask

THREADS = 16
SHORT_SECONDS = 1.5
MIN_KEYS = 5


def test_same_key_by_many_threads_makes_one_decision(desk, seconds, note, database_url):
    lasts, start, load = seconds(SHORT_SECONDS), Barrier(THREADS), desk.load
    until = monotonic() + lasts

    def send(sent):
        request = load.request(sent.key, sent.application)
        start.wait(30)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers["Idempotency-Replayed"], answer.read()

    with ThreadPoolExecutor(THREADS) as pool:
        while len(load.sent) < MIN_KEYS or monotonic() < until:
            number = len(load.sent)
            sent = Sent(f"key-{number}", number % len(load.applications))
            answers = list(pool.map(send, [sent] * THREADS))
            assert {status for status, _, _ in answers} == {201}
            assert [replayed for _, replayed, _ in answers].count(None) == 1
            sent.answers = {body for _, _, body in answers}
            sent.id = json.loads(answers[0][2])["id"]
            load.sent.append(sent)
            assert ask(desk.where, COUNT) == [(len(load.sent),)]
    name = "PostgreSQL" if database_url else "SQLite"
    note(
        f"each key by {THREADS} threads at once, {name}", load, desk.check(), lasted=lasts, faults=0
    )
