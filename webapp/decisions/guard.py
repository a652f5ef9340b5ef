"""Hides a decision that an operator may not see, on every route of one decision."""

from flask import Flask, g, request

from webapp.decisions import search

OF_ONE_DECISION = "/decisions/<id:number>"


def init_app(app: Flask) -> None:
    app.before_request(_hide)


def _hide() -> None:
    """Answer as if there were no such decision, before the view reads anything."""
    rule = request.url_rule
    if rule is not None and rule.rule.startswith(OF_ONE_DECISION):
        search.require_visible((request.view_args or {})["number"], operator=g.operator)
