"""Connects all parts of the web application; `create_app` imports it."""

from typing import Any

from flask import Flask

from webapp import (
    blueprints,
    compression,
    errors,
    extensions,
    incoming,
    language,
    logs,
    slots,
    static_files,
)
from webapp.api import intake
from webapp.config import ROOT, Config
from webapp.database import engine_options, prepare_postgresql, prepare_sqlite
from webapp.decisions import guard, store
from webapp.ledger import transaction
from webapp.metrics import metrics
from webapp.people import security
from webapp.serving.pin import Pin
from webapp.serving.served import model


def make_app(config: Config | None) -> Flask:
    """Make the application; without a config, with the settings and the bundle of this process."""
    pin = None if config else Pin.from_environment()  # an explicit config has its own bundle
    config = config or Config.from_environment()
    app = Flask(
        "webapp",
        instance_path=str(config.instance.resolve()),
        template_folder=str(ROOT / "templates"),
        static_folder=None,  # static_files serves them
    )
    config.folder()
    app.config.from_mapping(_flask_settings(config))
    app.extensions["settings"] = config
    app.jinja_env.globals["demo"] = config.demo_mark.exists()
    _init_requests(app, config)
    _init_database(app, config)
    model.init_app(app, config, pin=pin)
    store.init_app(app)
    language.init_app(app)
    security.init_app(app, config)
    guard.init_app(app)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # only now: security replaces app.json
    errors.init_app(app)
    blueprints.init_app(app)
    return app


def _flask_settings(config: Config) -> dict[str, Any]:
    return {
        "SECRET_KEY": config.secret(),
        "SQLALCHEMY_DATABASE_URI": config.database,
        "SQLALCHEMY_ENGINE_OPTIONS": engine_options(config.database, threads=config.threads),
        "WTF_CSRF_TIME_LIMIT": None,  # valid as long as the session, so that a form can stay open
        "WTF_CSRF_SSL_STRICT": config.https,
        **language.settings(config),
        **security.settings(config),
    }


def _init_requests(app: Flask, config: Config) -> None:
    """Set up what every request passes through, in this order."""
    logs.init_app(app, config)
    metrics.init_app(app)
    static_files.init_app(app)
    intake.init_app(app)  # before the files: nothing delays a decision of the API
    incoming.init_app(app)  # reads the body before the request takes a slot
    slots.init_app(app, config.threads)
    compression.init_app(app)


def _init_database(app: Flask, config: Config) -> None:
    extensions.db.init_app(app)
    transaction.init_app(app)
    prepare = prepare_sqlite if config.database.startswith("sqlite") else prepare_postgresql
    with app.app_context():
        prepare(extensions.db.engine)
