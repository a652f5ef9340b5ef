"""The web application."""

from flask import Flask

from webapp.config import Config


def create_app(config: Config | None = None, *, commands: bool = True) -> Flask:
    """Create the application; a web worker needs no commands, and starts sooner without them."""
    # Not at the top: gunicorn.conf.py imports webapp.config before it sets the metrics folder,
    # which prometheus_client looks for when it is imported.
    from webapp.factory import make_app  # noqa: PLC0415

    app = make_app(config)
    if commands:
        from webapp import cli  # noqa: PLC0415

        cli.init_app(app)
    return app
