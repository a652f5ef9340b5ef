"""Registers the flask commands."""

from flask import Flask

from webapp.audit.commands import audit, erase_contents, replay_decisions
from webapp.challenger.commands import challenger
from webapp.people.commands import api_keys, prepare, users


def init_app(app: Flask) -> None:
    commands = (users, api_keys, challenger, prepare, replay_decisions, audit, erase_contents)
    for command in commands:
        app.cli.add_command(command)
