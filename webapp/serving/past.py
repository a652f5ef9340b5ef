"""Past bundles, which are read at their first use; a few of them stay in memory."""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from ml.bundle.manifest import InvalidBundle
from ml.bundle.reader import Bundle
from ml.product.application import Rules

log = logging.getLogger(__name__)

MAX_BUNDLES = 4
MAX_FAILURES = 256  # a limit, because clients can ask for any version
FAILURE_SECONDS = 60


@dataclass(frozen=True)
class Usable:
    """A bundle and the rules for its applications."""

    bundle: Bundle
    rules: Rules


@dataclass(frozen=True)
class _Failure:
    until: float
    kind: type[InvalidBundle]
    message: str


class PastBundles:
    """A thread-safe cache of bundles by version, and of versions that cannot be used."""

    def __init__(
        self, find: Callable[[str], Bundle], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._find = find
        self._clock = clock
        self._lock = Lock()
        self._bundles: OrderedDict[str, Usable] = OrderedDict()  # least recently used first
        self._failures: OrderedDict[str, _Failure] = OrderedDict()  # oldest first

    def get(self, version: str) -> Usable:
        """Return the bundle of a version, or raise an InvalidBundle that says why there is none."""
        with self._lock:
            if version not in self._bundles:
                self._raise_failure(version)
                self._bundles[version] = self._read(version)
                if len(self._bundles) > MAX_BUNDLES:
                    self._bundles.popitem(last=False)
            self._bundles.move_to_end(version)
            return self._bundles[version]

    def _raise_failure(self, version: str) -> None:
        failure = self._failures.get(version)
        if failure and self._clock() < failure.until:
            raise failure.kind(failure.message)

    def _read(self, version: str) -> Usable:
        self._failures.pop(version, None)
        try:
            bundle = self._find(version)
        except InvalidBundle as error:
            log.warning("a past model cannot be used: %s", error)
            until = self._clock() + FAILURE_SECONDS
            self._failures[version] = _Failure(until, type(error), str(error))
            if len(self._failures) > MAX_FAILURES:
                self._failures.popitem(last=False)
            raise
        return Usable(bundle, Rules(bundle.product))
