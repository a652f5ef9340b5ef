"""The challenger's process: started beside the workers, and again whenever it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping

NICE = 10  # the workers, which decide, go first
LOOK_SECONDS = 1  # from one look at the process to the next
END_SECONDS = 3  # that it gets to end by itself
MIN_PAUSE, MAX_PAUSE = 1, 60  # seconds until it is started again; doubled from time to time
COMMAND = (sys.executable, "-m", "flask", "--app", "webapp", "challenger", "run", "--parent")


class ChallengerProcess:
    """A child of gunicorn's master, looked after once a second by a timer's signal."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._pause = 0
        self._started = time.monotonic()
        self._due: float | None = None  # when to start it again; None while it runs
        self._process = self._start()
        # The handler must not log: the signal may come while a line is being written.
        signal.signal(signal.SIGALRM, self._alarm)
        signal.setitimer(signal.ITIMER_REAL, LOOK_SECONDS)

    def _alarm(self, *_: object) -> None:
        self.look()
        # Only now: a start that takes long must not be interrupted by another.
        signal.setitimer(signal.ITIMER_REAL, LOOK_SECONDS)

    def look(self) -> None:
        """Start the process again if it has ended, after a pause that grows."""
        now = time.monotonic()
        if self._due is None:
            if self._process.poll() is not None:
                lived_long = now - self._started > MAX_PAUSE
                longer = MIN_PAUSE if lived_long else self._pause * 2
                self._pause = min(max(longer, MIN_PAUSE), MAX_PAUSE)
                self._due = now + self._pause
                line = f"loan desk: the challenger ended; started again in {self._pause} s\n"
                os.write(2, line.encode())
        elif now >= self._due:
            try:
                self._process = self._start()
            except OSError:  # too many processes, or no memory
                self._due = now + self._pause
            else:
                self._started, self._due = now, None

    def end(self) -> None:
        """End the process, for good."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._process.terminate()  # does nothing where gunicorn, which waits for all, saw it end
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - nothing in it comes from outside
            [*COMMAND, str(os.getpid())],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            preexec_fn=lambda: os.nice(NICE),
        )
