"""One key sent by many threads at once to several workers: one decision, equal answers."""

import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import monotonic

from tests.faults.stored import COUNT, check_chain, compare
from tests.fixtures.store import ask

THREADS = 16
SHORT_SECONDS = 1.5
MIN_KEYS = 5


def test_same_key_by_many_threads_makes_one_decision(desk, seconds):
    until, start, keys = monotonic() + seconds(SHORT_SECONDS), Barrier(THREADS), 0

    def send(key):
        request = desk.load.request(key, keys % len(desk.load.applications))
        start.wait(30)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers["Idempotency-Replayed"], answer.read()

    with ThreadPoolExecutor(THREADS) as pool:
        while keys < MIN_KEYS or monotonic() < until:
            answers = list(pool.map(send, [f"key-{keys}"] * THREADS))
            assert {status for status, _, _ in answers} == {201}
            assert len({body for _, _, body in answers}) == 1
            assert [replayed for _, replayed, _ in answers].count(None) == 1
            keys += 1
            assert ask(desk.where, COUNT) == [(keys,)]
    found = compare(desk.where, desk.load)
    assert found.stored == found.keys == found.counted == keys
    assert json.loads(answers[0][2])["id"]
    check_chain(desk.server.environment, found)
