"""Tests that each worker keeps to one processor, if there is a worker for each."""

import os
import signal
from pathlib import Path

import pytest

PROCESSORS = sorted(os.sched_getaffinity(0))
FEW = pytest.mark.skipif(
    not 1 < len(PROCESSORS) <= 4, reason="needs 2 to 4 processors, and a worker for each"
)


def children(pid):
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def processors_of(server):
    return [sorted(os.sched_getaffinity(pid)) for pid in children(server.process.pid)]


@FEW
def test_each_worker_keeps_to_one_processor(serve, until):
    with serve(workers=len(PROCESSORS)) as server:
        until(lambda: sorted(processors_of(server)) == [[p] for p in PROCESSORS])
        [first, *_] = children(server.process.pid)
        os.kill(first, signal.SIGKILL)
        until(lambda: first not in children(server.process.pid))
        until(lambda: len(children(server.process.pid)) == len(PROCESSORS))
        until(lambda: sorted(processors_of(server)) == [[p] for p in PROCESSORS])


@FEW
def test_a_single_worker_uses_all_processors(serve):
    with serve(workers=1) as server:
        assert processors_of(server) == [PROCESSORS]
