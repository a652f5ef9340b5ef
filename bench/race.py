"""Two ways of doing the same work, timed in turn."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple


class Times(NamedTuple):
    """Seconds that a work took over the rounds."""

    fastest: float
    median: float


def race(mine: Callable[[], Any], theirs: Callable[[], Any], *, rounds: int) -> tuple[Times, Times]:
    """Time both in turn, so that whatever else the machine does falls on both."""
    taken = [(_seconds(mine), _seconds(theirs)) for _ in range(rounds)]
    one, other = (Times(min(times), median(times)) for times in zip(*taken, strict=True))
    return one, other


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
