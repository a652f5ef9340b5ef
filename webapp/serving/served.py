"""The bundle in service, and past ones."""

import logging
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

log = logging.getLogger(__name__)


class Model:
    """The bundle that decides, verified and read at its first use in each process."""

    def __init__(self) -> None:
        self._lock = Lock()

    def init_app(self, app: Flask, config: Config) -> None:
        app.extensions["model"] = {
            "directory": config.bundle,
            "kept": config.kept,
            "challenger": config.challenger,
        }

    @property
    def bundle(self) -> Bundle:
        self._load()
        bundle: Bundle = current_app.extensions["model"]["bundle"]
        return bundle

    @property
    def rules(self) -> Rules:
        self._load()
        rules: Rules = current_app.extensions["model"]["rules"]
        return rules

    @property
    def challenger(self) -> str:
        """The name of the candidate that shall score beside the bundle's model; empty for none."""
        return str(current_app.extensions["model"]["challenger"])

    def product(self, name: str) -> Product | None:
        """Return a product by its name, if it is the one that is served."""
        return self.bundle.product if self.bundle.product.name == name else None

    def rules_of(self, version: str) -> Rules:
        """Return the rules that a model's applications kept to."""
        bundle = self.of(version)
        if bundle is None:
            raise ModelUnavailable(f"the model {version} is not here")
        return self.rules if bundle is self.bundle else Rules(bundle.product)

    def of(self, version: str) -> Bundle | None:
        """Return the bundle of a version: the one that decides, or one kept beside it."""
        try:
            return self.find(version)
        except InvalidBundle as error:
            log.warning("a past model cannot be used: %s", error)
            return None

    def find(self, version: str) -> Bundle:
        """Return the same, or raise an InvalidBundle that says why there is none."""
        with suppress(ModelUnavailable):  # those kept beside it do not depend on it
            if version == self.bundle.version:
                return self.bundle
        held = current_app.extensions["model"]
        past = held.setdefault("past", {})
        if version not in past:
            past[version] = find_bundle(held["directory"], version, kept=held["kept"])
        found: Bundle = past[version]
        return found

    def _load(self) -> None:
        held = current_app.extensions["model"]
        if "rules" in held:
            return
        with self._lock:
            if "rules" in held:  # another thread was first
                return
            try:
                bundle = read_bundle(held["directory"])
            except InvalidBundle as error:
                raise ModelUnavailable(str(error)) from error
            held["bundle"] = bundle
            held["rules"] = Rules(bundle.product)


model = Model()
