"""The canary: each worker scores its known answers every minute, and stores nothing."""

import logging
import time
from threading import Event, Thread

from flask import Flask

from ml.bundle.manifest import KNOWN_ANSWER_TOLERANCE
from ml.bundle.reader import Bundle
from webapp.metrics import metrics
from webapp.serving.served import model

log = logging.getLogger(__name__)

EVERY_SECONDS = 60


class Canary:
    """Scores the known answers in a thread of its own, beside the requests of a worker."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._gauges = metrics.make_canary()
        self._wrong: str | None = None

    def start(self) -> None:
        """Check once, and then every minute until the worker ends."""
        self.check()
        Thread(target=self._run, name="canary", daemon=True).start()

    def check(self) -> None:
        """Check once, and note when, and whether an answer was wrong."""
        wrong = self._problem()
        if wrong and wrong != self._wrong:  # once, and not every minute
            log.error("canary: %s", wrong)
        self._wrong = wrong
        self._gauges.wrong.set(wrong is not None)
        self._gauges.checked.set(time.time())

    def _run(self) -> None:
        pause = Event()
        while not pause.wait(EVERY_SECONDS):
            self.check()

    def _problem(self) -> str | None:
        try:
            with self._app.app_context():
                bundle = model.bundle
                self._gauges.workers.labels(bundle.product.name, bundle.version).set(1)
                return _difference(bundle)
        except Exception as error:  # whatever keeps the model from answering
            return repr(error)


def start(app: Flask) -> None:
    """Start the canary of a worker; not in the master, whose file would count as a worker's."""
    Canary(app).start()


def _difference(bundle: Bundle) -> str | None:
    """Return which known answer the Scorer does not give; None if it gives all of them."""
    for number, known in enumerate(bundle.manifest.known_answers):
        application = {f.name: known.application[f.name] for f in bundle.product.inputs}
        difference = abs(bundle.scorer.score(application).probability - known.probability)
        if not difference <= KNOWN_ANSWER_TOLERANCE:  # also if it is not a number
            return f"known answer {number} of {bundle.version} differs by {difference:.2g}"
    return None
