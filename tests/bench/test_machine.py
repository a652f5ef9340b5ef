"""Tests what is measured of processes and of the machine."""

import os
import subprocess
import sys

from bench.machine import descendants, foreign_cores, processes, pss_mib, usage, wait_for_quiet

SPIN = "import time\nend = time.monotonic() + 60\nwhile time.monotonic() < end: pass"


def test_this_process_is_a_descendant_of_its_parent():
    assert os.getpid() in descendants([os.getppid()], processes())
    assert descendants([0], {7: (0, 0.0)}) == set()


def test_memory_of_no_process_is_nothing():
    assert pss_mib([os.getpid()]) > 10
    assert pss_mib([]) == 0


def test_another_process_that_computes_is_noticed():
    spinning = subprocess.Popen([sys.executable, "-c", SPIN])
    try:
        before, ours_before = usage(), usage([spinning.pid])
        assert not wait_for_quiet(1.5)
        after, ours_after = usage(), usage([spinning.pid])
    finally:
        spinning.kill()
        spinning.wait()
    assert foreign_cores(before, after) > foreign_cores(ours_before, ours_after)
    assert ours_after.ours - ours_before.ours > 0.1
