"""Times two functions that do the same work, in alternation."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple


class Times(NamedTuple):
    """The seconds that a function took over the rounds."""

    fastest: float
    median: float


def race(
    first: Callable[[], Any], second: Callable[[], Any], *, rounds: int
) -> tuple[Times, Times]:
    """Time two functions in alternation, so that other load on the machine affects both."""
    seconds = [(_seconds(first), _seconds(second)) for _ in range(rounds)]
    of_first, of_second = (Times(min(times), median(times)) for times in zip(*seconds, strict=True))
    return of_first, of_second


def _seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
