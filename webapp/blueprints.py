"""The pages and the endpoints, a blueprint each."""

from flask import Flask
from werkzeug.routing import IntegerConverter, Map

from webapp import language_choice
from webapp.api import decisions as api
from webapp.challenger import pages as challenger
from webapp.columns import LAST_ID
from webapp.decisions import application_pages, pages as decisions
from webapp.extensions import csrf
from webapp.monitoring import health
from webapp.serving import pages as serving


class Identifier(IntegerConverter):
    """A number that a table can have; no other address exists."""

    def __init__(self, url_map: Map) -> None:
        super().__init__(url_map, max=LAST_ID)


def init_app(app: Flask) -> None:
    app.url_map.converters["id"] = Identifier
    for module in (application_pages, decisions, serving, challenger, language_choice, health, api):
        app.register_blueprint(module.blueprint)
    # It takes a key in a header, which no other site can make a browser send.
    csrf.exempt(api.blueprint)
