"""The extensions: made here, initialised in create_app."""

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
from ml.bundle import Bundle, InvalidBundle, read_bundle
from webapp.config import Config


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
        app.extensions["model"] = {"directory": config.bundle}

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
