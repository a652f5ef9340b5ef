"""Registers the blueprints of all pages and endpoints."""

from flask import Flask
from werkzeug.routing import IntegerConverter, Map

from webapp import language_choice
from webapp.api import decisions as _decisions, outcomes as _outcomes, requests as api  # noqa: F401 - routes
from webapp.audit import pages as retention
from webapp.batch import pages as batches
from webapp.challenger import pages as challenger
from webapp.columns import MAX_ID
from webapp.decisions import (  # noqa: F401 - routes
    application_pages,
    export_pages as _export,
    list_pages as _list,
    pages as decisions,
)
from webapp.desk import pages as desk
from webapp.extensions import csrf
from webapp.letters import pages as letters
from webapp.monitoring import health, override_pages as _overrides, pages as monitoring  # noqa: F401 - routes
from webapp.outcomes import pages as outcomes
from webapp.people import account_pages, key_pages, pages as people
from webapp.protected import pages as protected
from webapp.reviews import pages as reviews
from webapp.serving import pages as serving
from webapp.uploads import pages as uploads

PAGES = (
    application_pages,
    decisions,
    letters,
    reviews,
    outcomes,
    batches,
    protected,
    uploads,
    monitoring,
    serving,
    challenger,
    desk,
    retention,
    people,
    key_pages,
    account_pages,
    language_choice,
)
MODULES = (*PAGES, health, api)


class Identifier(IntegerConverter):
    """An integer that can be the id of a row; any other one in a URL gives 404."""

    regex = "[0-9]+"  # Werkzeug's own accepts the digits of every script

    def __init__(self, url_map: Map, last: int = MAX_ID) -> None:
        super().__init__(url_map, max=last)


def init_app(app: Flask) -> None:
    app.url_map.converters["id"] = Identifier
    for module in MODULES:
        app.register_blueprint(module.blueprint)
    # The API expects a key in a header, which another site cannot make a browser send.
    csrf.exempt(api.blueprint)
