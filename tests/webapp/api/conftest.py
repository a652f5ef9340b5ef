"""Fixtures of the tests of the API."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from webapp.decisions.store import DecisionStore


@pytest.fixture
def meanwhile(monkeypatch):
    """Return a function that sends a request twice, the first while the second is answered.

    The second has read from the database when the first comes, but has not looked up its key.
    """

    def request_twice(send):
        answers, look_up = [], DecisionStore.find_use

        def answer_another_first(self, claim):
            monkeypatch.setattr(DecisionStore, "find_use", look_up)
            with ThreadPoolExecutor(1) as pool:
                answers.append(pool.submit(send).result())
            return look_up(self, claim)

        monkeypatch.setattr(DecisionStore, "find_use", answer_another_first)
        answers.append(send())
        return answers

    return request_twice
