"""The flask commands, registered."""

from flask import Flask

from webapp.audit.commands import audit
from webapp.challenger.commands import challenger
from webapp.people.commands import api_keys, prepare, users


def init_app(app: Flask) -> None:
    for command in (users, api_keys, audit, challenger, prepare):
        app.cli.add_command(command)
