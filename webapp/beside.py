"""Processes that run beside the workers, and are started again whenever they end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

NICE = 10  # a lower priority than the workers, which decide
CHECK_SECONDS = 1  # between two checks of the processes
END_SECONDS = 3  # from SIGTERM to SIGKILL
MIN_PAUSE, MAX_PAUSE = 1, 60  # seconds before a restart; doubled after each short run
COMMAND = (sys.executable, "-m", "flask", "--app", "webapp")


class ProcessesBeside:
    """Children of gunicorn's master, which a timer's signal handler checks regularly.

    Each is the command of a capability, such as `challenger run`; the option `--parent` tells it
    when to end.
    """

    def __init__(self, names: Sequence[str], environment: Mapping[str, str]) -> None:
        self._processes = [_Process(name, environment) for name in names]
        # The handler must not use logging: the signal may interrupt a log call.
        signal.signal(signal.SIGALRM, self._alarm)
        signal.setitimer(signal.ITIMER_REAL, CHECK_SECONDS)

    def _alarm(self, *_: object) -> None:
        for process in self._processes:
            process.check()
        # Set again only now, so that no signal interrupts a slow start.
        signal.setitimer(signal.ITIMER_REAL, CHECK_SECONDS)

    def end(self) -> None:
        """End the processes, and do not restart them."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        for process in self._processes:
            process.terminate()
        end = time.monotonic() + END_SECONDS
        for process in self._processes:
            process.kill_after(end)


def parent_runs(parent: int | None) -> bool:
    """Return whether the process that started this one still runs; True if none is given."""
    return parent is None or os.getppid() == parent


def end_on_signals() -> None:
    """Let SIGTERM and SIGINT end this process as an exit does."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)


def _exit(*_: object) -> None:
    raise SystemExit


class _Process:
    def __init__(self, name: str, environment: Mapping[str, str]) -> None:
        self._name, self._environment = name, environment
        self._pause = 0
        self._started = time.monotonic()
        self._due: float | None = None  # when to restart it; None while it runs
        self._process = self._start()

    def check(self) -> None:
        """Restart the process if it has ended, after a pause that grows."""
        now = time.monotonic()
        if self._due is None:
            if self._process.poll() is not None:
                lived_long = now - self._started > MAX_PAUSE
                longer = MIN_PAUSE if lived_long else self._pause * 2
                self._pause = min(max(longer, MIN_PAUSE), MAX_PAUSE)
                self._due = now + self._pause
                line = f"loan desk: the {self._name} ended; it restarts in {self._pause} s\n"
                os.write(2, line.encode())
        elif now >= self._due:
            try:
                self._process = self._start()
            except OSError:  # too many processes, or no memory
                self._due = now + self._pause
            else:
                self._started, self._due = now, None

    def terminate(self) -> None:
        self._process.terminate()  # does nothing if gunicorn has already reaped the process

    def kill_after(self, end: float) -> None:
        try:
            self._process.wait(max(0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - no part of the command comes from outside
            [*COMMAND, self._name, "run", "--parent", str(os.getpid())],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            preexec_fn=lambda: os.nice(NICE),
        )
