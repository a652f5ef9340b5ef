"""The pages and the endpoints, a blueprint each."""

from flask import Flask

from webapp.extensions import csrf
from webapp.views import api, applications, decisions, health, language


def init_app(app: Flask) -> None:
    for module in (applications, decisions, language, health, api):
        app.register_blueprint(module.blueprint)
    csrf.exempt(
        api.blueprint
    )  # it takes a key in a header, which no other site can make a browser send
