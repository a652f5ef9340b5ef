"""Registers the flask commands."""

from flask import Flask

from webapp.audit.commands import replay_decisions
from webapp.challenger.commands import challenger
from webapp.people.commands import api_keys, prepare, users


def init_app(app: Flask) -> None:
    for command in (users, api_keys, challenger, prepare, replay_decisions):
        app.cli.add_command(command)
