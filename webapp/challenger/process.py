"""The challenger's process, which runs beside the workers and is restarted whenever it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping

NICE = 10  # a lower priority than the workers, which decide
CHECK_SECONDS = 1  # between two checks of the process
END_SECONDS = 3  # from SIGTERM to SIGKILL
MIN_PAUSE, MAX_PAUSE = 1, 60  # seconds before a restart; doubled after each short run
COMMAND = (sys.executable, "-m", "flask", "--app", "webapp", "challenger", "run", "--parent")


class ChallengerProcess:
    """A child of gunicorn's master, which a timer's signal handler checks regularly."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._pause = 0
        self._started = time.monotonic()
        self._due: float | None = None  # when to restart it; None while it runs
        self._process = self._start()
        # The handler must not use logging: the signal may interrupt a log call.
        signal.signal(signal.SIGALRM, self._alarm)
        signal.setitimer(signal.ITIMER_REAL, CHECK_SECONDS)

    def _alarm(self, *_: object) -> None:
        self.check()
        # Set again only now, so that no signal interrupts a slow start.
        signal.setitimer(signal.ITIMER_REAL, CHECK_SECONDS)

    def check(self) -> None:
        """Restart the process if it has ended, after a pause that grows."""
        now = time.monotonic()
        if self._due is None:
            if self._process.poll() is not None:
                lived_long = now - self._started > MAX_PAUSE
                longer = MIN_PAUSE if lived_long else self._pause * 2
                self._pause = min(max(longer, MIN_PAUSE), MAX_PAUSE)
                self._due = now + self._pause
                line = f"loan desk: the challenger ended; it restarts in {self._pause} s\n"
                os.write(2, line.encode())
        elif now >= self._due:
            try:
                self._process = self._start()
            except OSError:  # too many processes, or no memory
                self._due = now + self._pause
            else:
                self._started, self._due = now, None

    def end(self) -> None:
        """End the process, and do not restart it."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._process.terminate()  # does nothing if gunicorn has already reaped the process
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - no part of the command comes from outside
            [*COMMAND, str(os.getpid())],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            preexec_fn=lambda: os.nice(NICE),
        )
