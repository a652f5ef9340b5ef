"""The extensions: made here, initialised in create_app."""

import logging
from contextlib import suppress
from threading import Lock

from flask import Flask, current_app
from flask_babel import Babel
from flask_bootstrap import Bootstrap5
from flask_migrate import Migrate
from flask_security import Security
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

from ml.application import Rules
from ml.bundle import Bundle, find_bundle, read_bundle
from ml.manifest import InvalidBundle
from ml.product import Product
from webapp.config import Config

log = logging.getLogger(__name__)


class Base(DeclarativeBase):
    # Alembic can change a constraint on SQLite only by its name.
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class ModelUnavailable(Exception):
    """There is no bundle that may decide; the message says why."""


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


db = SQLAlchemy(model_class=Base)
migrate = Migrate()
csrf = CSRFProtect()
babel = Babel()
bootstrap = Bootstrap5()
security = Security()
model = Model()
