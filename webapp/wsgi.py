"""The application that gunicorn's workers serve, created before they are forked."""

from contextlib import suppress

from flask import Flask

from webapp import create_app
from webapp.failures import ModelUnavailable
from webapp.serving.served import model

application: Flask


def make_application(*, compile_templates: bool = False) -> None:
    """Create the application and read its bundle; also compile its templates if wanted.

    Compiling all of them takes a tenth of a start; a template that is not compiled yet takes a page
    a few milliseconds. Nothing is connected here: each worker opens its own connections and its own
    metrics files.
    """
    global application
    app = create_app(commands=False)
    if compile_templates and app.jinja_loader:
        for template in app.jinja_loader.list_templates():
            app.jinja_env.get_template(template)
    with app.app_context(), suppress(ModelUnavailable):  # each request then logs why
        _ = model.rules
    application = app
