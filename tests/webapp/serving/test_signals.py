"""Tests of the signals that end the workers of gunicorn."""

import os
import shutil

FORKED = """
import logging, os, runpy, signal, time
from types import SimpleNamespace
server = SimpleNamespace(log=logging.getLogger(), cfg=SimpleNamespace(address=[]))
conf = runpy.run_path("gunicorn.conf.py")
conf["on_starting"](server)
signal.signal(signal.SIGTERM, lambda *_: None)  # as the master of gunicorn sets it
for _ in range(3):
    pid = os.fork()
    if not pid:
        time.sleep(1)
        os._exit(0)
    os.kill(pid, signal.SIGTERM)
    print(os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGTERM)
conf["on_exit"](server)
"""


def test_signal_ends_a_worker_that_has_not_set_its_handlers(
    forks, bundle, started_before, tmp_path
):
    shutil.copytree(started_before, tmp_path / "instance")
    given = {"LOAN_INSTANCE": str(tmp_path / "instance"), "LOAN_BUNDLE": str(bundle.directory)}
    done = forks.run(["-c", FORKED], os.environ | given)
    assert done.stdout == "True\n" * 3, done.stderr
