"""The pages and the endpoints, a blueprint each."""

from flask import Flask
from werkzeug.routing import IntegerConverter, Map

from webapp.extensions import csrf
from webapp.models import LAST_ID
from webapp.views import api, applications, decisions, health, language, models


class Identifier(IntegerConverter):
    """A number that a table can have; no other address exists."""

    def __init__(self, url_map: Map) -> None:
        super().__init__(url_map, max=LAST_ID)


def init_app(app: Flask) -> None:
    app.url_map.converters["id"] = Identifier
    for module in (applications, decisions, models, language, health, api):
        app.register_blueprint(module.blueprint)
    csrf.exempt(
        api.blueprint
    )  # it takes a key in a header, which no other site can make a browser send
