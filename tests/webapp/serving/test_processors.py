"""Tests that each worker keeps to one processor, if there is a worker for each."""

import os
import signal

PROCESSORS = sorted(os.sched_getaffinity(0))
TWO = PROCESSORS[:2]
# Starts gunicorn on two processors, or on the only one.
ON_TWO = f"""
import os, runpy, sys
os.sched_setaffinity(0, {TWO})
sys.argv = ["gunicorn"]
runpy.run_module("gunicorn", run_name="__main__", alter_sys=True)
"""


def processors_of(server):
    return [sorted(os.sched_getaffinity(pid)) for pid in server.process.children()]


def test_each_worker_keeps_to_one_processor(serve, until):
    apart = [[TWO[0]], [TWO[-1]]]
    with serve(workers=2, arguments=["-c", ON_TWO]) as server:
        until(lambda: sorted(processors_of(server)) == apart)
        [first, _] = server.process.children()
        os.kill(first, signal.SIGKILL)
        until(lambda: first not in server.process.children())
        until(lambda: len(server.process.children()) == 2)
        until(lambda: sorted(processors_of(server)) == apart)


def test_a_single_worker_uses_all_processors(serve):
    with serve(workers=1) as server:
        assert processors_of(server) == [PROCESSORS]
