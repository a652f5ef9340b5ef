"""The Flask extension that decides, stores, and finds what idempotency keys were used for."""

from collections.abc import Callable, Hashable, Sequence
from functools import partial

from flask import Flask, current_app
from sqlalchemy import Engine

from webapp.decisions.deciding import Deciding, Judged, Submitted
from webapp.decisions.writing import Stored
from webapp.extensions import db
from webapp.ledger.driver import Reader
from webapp.ledger.idempotency import Claim, Used, claiming, find_use, of_key
from webapp.ledger.writer import Writer
from webapp.metrics import metrics
from webapp.serving.past import Usable
from webapp.serving.served import ServedBundles


class DecisionStore:
    """Makes and stores the decisions of one Flask application; it connects when it is used."""

    def __init__(self, engine: Engine, usable: Callable[[], Usable]) -> None:
        self.reader = Reader(engine)
        work = Deciding(self.reader, usable)
        self._writer: Writer[Submitted | Judged, Judged, Stored] = Writer(
            engine, work, observe=partial(metrics.observe_each, metrics.writing)
        )

    def find_use(self, claim: Claim) -> Used | None:
        """Return what the key of a request was used for; raises KeyReused for another request."""
        return find_use(self.reader, claim)

    def decide(self, submitted: Submitted) -> Stored:
        """Decide what another system has sent; return the decision once it is on disk.

        Raises as `add`, UnknownKey, and what `Rules.check_submission` raises.
        """
        key = _key_of(submitted)
        with claiming(key):
            return self._writer.submit(submitted, key=key)

    def decide_together(self, submitted: Sequence[Submitted]) -> list[Stored | Exception]:
        """Decide what has been sent at the same time; return what `decide` returns or raises.

        It does not wait for a request whose idempotency key is in flight: it returns InFlight.
        """
        keys = [_key_of(s) for s in submitted]
        outcomes = self._writer.submit_together(list(zip(submitted, keys, strict=True)))
        return [
            of_key(outcome, key) if isinstance(outcome, Exception) else outcome
            for outcome, key in zip(outcomes, keys, strict=True)
        ]

    def add(self, judged: Judged) -> Stored:
        """Decide on what was judged; return the decision once it is on disk.

        Raises as `Writer.submit`, and KeyClaimed if its idempotency key has been used meanwhile.
        """
        claim = judged.claim
        key = None if claim is None else (claim.operator_id, claim.digest)
        with claiming(key):
            return self._writer.submit(judged, key=key)

    def close(self) -> None:
        """Give the connections back that are not in use."""
        self.reader.close()
        self._writer.close()


def init_app(app: Flask) -> None:
    def usable() -> Usable:
        bundles: ServedBundles = app.extensions["model"]
        return bundles.current()

    with app.app_context():
        app.extensions["decisions"] = DecisionStore(db.engine, usable)


def store() -> DecisionStore:
    """Return the store of the current application."""
    found: DecisionStore = current_app.extensions["decisions"]
    return found


def _key_of(submitted: Submitted) -> Hashable:
    return None if submitted.key is None else (submitted.api_key, submitted.key)
