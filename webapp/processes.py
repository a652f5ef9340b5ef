"""Spreads work that only reads the database over several processes."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from threading import Thread
from typing import Any, TypeVar

from webapp.extensions import db

MAX_PROCESSES = 64
Item = TypeVar("Item")
Result = TypeVar("Result")

_work: Callable[[Any], Any]  # of a process that was started to work


def available() -> int:
    """Return the number of processors, or 1 where a process cannot safely be forked."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    return min(count, MAX_PROCESSES)


@contextmanager
def spread(
    work: Callable[[Item], Result], items: Sequence[Item], *, processes: int
) -> Iterator[Iterable[Result]]:
    """Provide the results of all items, in their order; each process calls its copy of `work`.

    No connection of this thread may be in use meanwhile.
    """
    if processes < 2 or len(items) < 2:
        yield map(work, items)
        return
    db.session.remove()
    db.engine.dispose()  # no connection may be used by two processes
    executor = ProcessPoolExecutor(
        min(processes, len(items)),
        mp_context=get_context("fork"),  # each has the application, and need not start it
        initializer=_begin,
        initargs=(work,),
    )
    try:
        yield executor.map(_call, items)
    except BaseException:
        for process in active_children():
            process.terminate()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def _begin(work: Callable[[Any], Any]) -> None:
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process as soon as the one that has started it has ended, even by SIGKILL."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(item: Any) -> Any:  # noqa: ANN401
    return _work(item)
