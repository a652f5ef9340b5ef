"""The Flask extension that gives access to the bundle that decides and to past bundles."""

from contextlib import suppress
from threading import Lock

from flask import Flask, current_app

from ml.bundle.manifest import InvalidBundle
from ml.bundle.reader import Bundle, read_bundle
from ml.bundle.store import find_bundle
from ml.product.application import Rules
from ml.product.definition import Product
from webapp.config import Config
from webapp.failures import ModelUnavailable
from webapp.serving.past import PastBundles, Usable
from webapp.serving.pin import Pin


class ServedBundles:
    """The bundles of one application; the one that decides is read when it is first used."""

    def __init__(self, config: Config, pin: Pin | None) -> None:
        self.challenger = config.challenger
        self.reloads_refused = pin.reloads_refused if pin else 0
        self.past = PastBundles(
            lambda version: find_bundle(config.bundle, version, store=config.kept)
        )
        self._directory = pin.directory if pin else config.bundle
        self._digest = pin.digest if pin else None
        self._lock = Lock()
        self._current: Usable | None = None

    def current(self) -> Usable:
        """Return the bundle that decides; raises ModelUnavailable if it cannot be used."""
        with self._lock:
            if self._current is None:
                try:
                    bundle = read_bundle(self._directory, digest=self._digest)
                except InvalidBundle as error:
                    raise ModelUnavailable(str(error)) from error
                self._current = Usable(bundle, Rules(bundle.product))
            return self._current


class Model:
    """The Flask extension: the bundles of the current application."""

    def init_app(self, app: Flask, config: Config, *, pin: Pin | None = None) -> None:
        """Serve the pinned bundle; without a pin, the bundle that the settings name."""
        app.extensions["model"] = ServedBundles(config, pin)

    @property
    def usable(self) -> Usable:
        """The bundle that decides, with its rules."""
        return self._served.current()

    @property
    def bundle(self) -> Bundle:
        """The bundle that decides."""
        return self._served.current().bundle

    @property
    def rules(self) -> Rules:
        """The rules for new applications."""
        return self._served.current().rules

    @property
    def challenger(self) -> str:
        """The name of the candidate that scores in the background; empty for none."""
        return self._served.challenger

    @property
    def reloads_refused(self) -> int:
        """The number of reloads since the start that found an invalid bundle."""
        return self._served.reloads_refused

    def product(self, name: str) -> Product | None:
        """Return the product of that name if it is the one that is served."""
        with suppress(ModelUnavailable):
            product = self.bundle.product
            return product if product.name == name else None
        return None

    def rules_of(self, version: str) -> Rules:
        """Return the rules of the applications that a version decided."""
        try:
            return self._find(version).rules
        except InvalidBundle as error:
            raise ModelUnavailable(f"the model {version} is missing") from error

    def of(self, version: str) -> Bundle | None:
        """Return the bundle of a version, current or past; None if it cannot be used."""
        try:
            return self.find(version)
        except InvalidBundle:
            return None

    def find(self, version: str) -> Bundle:
        """Return the bundle of a version, current or past; raises InvalidBundle."""
        return self._find(version).bundle

    def _find(self, version: str) -> Usable:
        with suppress(ModelUnavailable):  # past bundles do not depend on the current one
            current = self._served.current()
            if version == current.bundle.version:
                return current
        return self._served.past.get(version)

    @property
    def _served(self) -> ServedBundles:
        served: ServedBundles = current_app.extensions["model"]
        return served


model = Model()
