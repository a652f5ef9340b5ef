"""Keeps the changes that a worker has found last, since a search can take long."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from ml.explaining.counterfactual import Changes


class KeptChanges:
    """The changes that were asked for last, under digests: no application stays in memory."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._found: OrderedDict[bytes, Changes] = OrderedDict()
        self._lock = Lock()

    def find(self, digest: bytes, search: Callable[[], Changes]) -> Changes:
        """Return the changes kept under a digest, or search for them."""
        with self._lock:
            changes = self._found.get(digest)
        if changes is None:
            changes = search()
        with self._lock:
            self._found[digest] = changes
            self._found.move_to_end(digest)
            while len(self._found) > self._limit:
                self._found.popitem(last=False)
        return changes
