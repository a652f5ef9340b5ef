"""Lets one thread work on several requests at once, so that a step is done once for all of them.

Each request runs in a greenlet: a call that can be suspended, and later resumed in its thread.
"""

from collections import deque
from collections.abc import Callable, Iterable
from threading import local

from greenlet import getcurrent, greenlet


class MadeElsewhere(BaseException):
    """Raised by a call of a group that has to be made by another thread; nothing has come of it."""


class _Group:
    """The calls that a thread works on; each list has those that are suspended."""

    def __init__(self, runner: greenlet) -> None:
        self.runner = runner
        self.gathered: deque[greenlet] = deque()
        self.aside: deque[greenlet] = deque()

    def suspend(self, among: deque[greenlet]) -> None:
        among.append(getcurrent())
        self.runner.switch()


class _Here(local):
    group: _Group | None = None  # of this thread


_here = _Here()


def run_together(calls: Iterable[Callable[[], None]]) -> None:
    """Make calls, and return when all have ended; none of them may raise an exception."""
    group = _here.group = _Group(getcurrent())
    try:
        for call in calls:
            greenlet(call).switch()
        while waiting := group.gathered or group.aside:
            waiting.popleft().switch()
    finally:
        _here.group = None


def in_group() -> bool:
    """Return whether this call is one of several that are made together."""
    return _here.group is not None


def gather() -> bool:
    """Wait until each call of the group has come here, stepped aside or ended.

    The calls are resumed one after the other, in the order in which they came. Returns False, at
    once, if this call is not made together with others.
    """
    group = _here.group
    if group is None:
        return False
    group.suspend(group.gathered)
    return True


def step_aside() -> None:
    """Let the calls of the group that gather end first, because this one may take longer."""
    if _here.group is not None:
        _here.group.suspend(_here.group.aside)
