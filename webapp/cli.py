"""Registers the flask commands, and what only they need."""

from flask import Flask
from flask_migrate import Migrate

from webapp.audit.commands import audit, erase_contents
from webapp.audit.replay_commands import replay_decisions
from webapp.challenger.commands import challenger
from webapp.config import ROOT
from webapp.demo.commands import make_demo
from webapp.desk.commands import desk
from webapp.extensions import db
from webapp.letters.commands import letters
from webapp.monitoring.commands import monitor
from webapp.outcomes.commands import export, outcomes
from webapp.people.commands import prepare, users
from webapp.people.key_commands import api_keys


def init_app(app: Flask) -> None:
    Migrate(app, db, directory=str(ROOT / "migrations"))
    commands = (
        *(users, api_keys, challenger, outcomes, letters, export, monitor, prepare),
        *(replay_decisions, audit, erase_contents, desk, make_demo),
    )
    for command in commands:
        app.cli.add_command(command)
