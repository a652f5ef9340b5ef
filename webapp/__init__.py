"""The application factory, which connects all parts of the web application."""

from flask import Flask

from webapp.config import ROOT, Config


def create_app(config: Config | None = None, *, commands: bool = True) -> Flask:
    """Create the application; a web worker needs no commands, and starts sooner without them."""
    # Not at the top: gunicorn.conf.py imports webapp.config before it sets the metrics folder,
    # which prometheus_client looks for when it is imported.
    from webapp import (  # noqa: PLC0415
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
    from webapp.api import intake  # noqa: PLC0415
    from webapp.database import engine_options, prepare_postgresql, prepare_sqlite  # noqa: PLC0415
    from webapp.decisions import guard, store  # noqa: PLC0415
    from webapp.ledger import transaction  # noqa: PLC0415
    from webapp.metrics import metrics  # noqa: PLC0415
    from webapp.people import security  # noqa: PLC0415
    from webapp.serving.pin import Pin  # noqa: PLC0415
    from webapp.serving.served import model  # noqa: PLC0415

    pin = None if config else Pin.from_environment()  # an explicit config has its own bundle
    config = config or Config.from_environment()
    app = Flask(
        __name__,
        instance_path=str(config.instance.resolve()),
        template_folder=str(ROOT / "templates"),
        static_folder=None,  # static_files serves them
    )
    config.folder()
    app.config.from_mapping(
        SECRET_KEY=config.secret(),
        SQLALCHEMY_DATABASE_URI=config.database,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(config.database, threads=config.threads),
        WTF_CSRF_TIME_LIMIT=None,  # valid as long as the session, so that a form can stay open
        WTF_CSRF_SSL_STRICT=config.https,
        **language.settings(config),
        **security.settings(config),
    )
    app.extensions["settings"] = config
    app.jinja_env.globals["demo"] = config.demo_mark.exists()
    logs.init_app(app, config)
    metrics.init_app(app)
    static_files.init_app(app)
    intake.init_app(app)  # before the files: nothing delays a decision of the API
    incoming.init_app(app)  # reads the body before the request takes a slot
    slots.init_app(app, config.threads)
    compression.init_app(app)
    extensions.db.init_app(app)
    transaction.init_app(app)
    prepare = prepare_sqlite if config.database.startswith("sqlite") else prepare_postgresql
    with app.app_context():
        prepare(extensions.db.engine)
    model.init_app(app, config, pin=pin)
    store.init_app(app)
    language.init_app(app)
    security.init_app(app, config)
    guard.init_app(app)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # only now: security replaces app.json
    errors.init_app(app)
    blueprints.init_app(app)
    if commands:
        from webapp import cli  # noqa: PLC0415

        cli.init_app(app)
    return app
