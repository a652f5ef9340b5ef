"""The application that gunicorn's workers serve, created before they are forked."""

from contextlib import suppress

from flask import Flask

from webapp import create_app
from webapp.failures import ModelUnavailable
from webapp.serving.served import model

application: Flask


def make_application() -> None:
    """Create the application, compile its templates and read its bundle.

    Nothing is connected here: each worker opens its own connections and its own metrics files.
    """
    global application
    app = create_app(commands=False)
    for template in app.jinja_loader.list_templates() if app.jinja_loader else ():
        app.jinja_env.get_template(template)
    with app.app_context(), suppress(ModelUnavailable):  # each request then logs why
        _ = model.rules
    application = app
