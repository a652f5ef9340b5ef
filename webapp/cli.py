"""The flask commands: prepare, users, api-keys, audit, challenger."""

import secrets
import signal
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

import click
from flask import Flask, current_app
from flask.cli import AppGroup, with_appcontext
from flask_migrate import upgrade
from sqlalchemy.exc import DBAPIError

from ml.manifest import InvalidBundle
from webapp import services
from webapp.challenge import Challenger, work
from webapp.extensions import ModelUnavailable, model
from webapp.replay import Tally, replay
from webapp.services import NameRefused, NameTaken, NotFound

FIRST_USER = "admin"
DAY = "%Y-%m-%d"
OUTDATED = " (is it up to date? flask --app webapp prepare)"
T = TypeVar("T")

users = AppGroup("users", help="The people who sign in.")
api_keys = AppGroup("api-keys", help="The keys of other systems.")
audit = AppGroup("audit", help="Proofs for those who check.")
challenger = AppGroup("challenger", help="The candidate that scores beside the model, unseen.")


def init_app(app: Flask) -> None:
    for command in (users, api_keys, audit, challenger, prepare):
        app.cli.add_command(command)


def _checked(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= 64 or not name.isprintable():
        raise click.ClickException("a name has 1 to 64 printable characters")
    return name


@click.command()
@with_appcontext
def prepare() -> None:
    """Bring the database up to date and create the first user."""
    _try(upgrade, hint="")
    password = secrets.token_urlsafe(12)
    if _try(lambda: services.create_first_user(FIRST_USER, password), hint=""):
        click.echo(f"\n  First start: sign in as {FIRST_USER} with the password {password}")
        click.echo("  It is shown this once.\n")
    else:
        click.echo(f"\n  Sign in as {FIRST_USER}, or as any other user. A new password:")
        click.echo(f"  flask --app webapp users set-password {FIRST_USER}\n")


@users.command("create")
@click.argument("name")
def create_user(name: str) -> None:
    """Create the user NAME; the last line is a generated password."""
    password = secrets.token_urlsafe(12)
    _try(lambda: services.create_user(_checked(name), password))
    click.echo(password)


@users.command("set-password")
@click.argument("name")
def set_password(name: str) -> None:
    """Give the user NAME a generated password, on the last line; their sessions end."""
    password = secrets.token_urlsafe(12)
    _try(lambda: services.set_password(name, password))
    click.echo(password)


@api_keys.command("create")
@click.argument("name")
def create_api_key(name: str) -> None:
    """Create an API key called NAME; the last line is the key, shown this once."""
    click.echo(_try(lambda: services.create_api_key(_checked(name))))


@api_keys.command("revoke")
@click.argument("name")
def revoke_api_key(name: str) -> None:
    """Revoke the API key called NAME, at once."""
    _try(lambda: services.revoke_api_key(name))


@api_keys.command("list")
def list_api_keys() -> None:
    """List the API keys."""
    for key in _try(services.list_api_keys):
        state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "in use"
        click.echo(f"{key.name}\tcreated {key.created_at:%Y-%m-%d}\t{state}")


@audit.command("replay")
@click.argument("number", type=int, required=False)
@click.option("--since", type=click.DateTime([DAY]), help="A day, from its midnight at the desk.")
def replay_decisions(number: int | None, since: datetime | None) -> None:
    """Compute decision NUMBER again from its inputs, or those since a day, or all.

    The exit code is 0 if all of them match.
    """
    if number is not None and since is not None:
        raise click.UsageError("a NUMBER or --since, not both")
    moment = since and _at_the_desk(since)
    tally = _try(lambda: replay(_tell, number=number, since=moment))
    _tell(_counted(tally))
    for version, count in sorted(tally.without_model.items()):
        _tell(f"{version}: {_many(count)} not replayed: {tally.why[version]}")
    click.get_current_context().exit(0 if tally.proven else 1)


def _at_the_desk(day: datetime) -> datetime:
    midnight = day.replace(tzinfo=ZoneInfo(current_app.config["BABEL_DEFAULT_TIMEZONE"]))
    try:
        midnight.astimezone(ZoneInfo("UTC"))
    except OverflowError:
        raise click.BadParameter(f"{day:{DAY}} is out of all time", param_hint="--since") from None
    return midnight


def _tell(line: str) -> None:
    # A line may repeat what somebody put into a row by hand.
    click.echo("".join(c if c.isprintable() else "?" for c in line))


def _counted(tally: Tally) -> str:
    said = [
        f"{tally.matching:,} {'matches' if tally.matching == 1 else 'match'}",
        f"{tally.differing:,} {'does' if tally.differing == 1 else 'do'} not",
    ]
    if missing := tally.without_model.total():
        said.append(f"{missing:,} not replayed")
    return f"{_many(tally.decisions)}: {', '.join(said)}"


def _many(count: int) -> str:
    return f"{count:,} decision{'' if count == 1 else 's'}"


@challenger.command("run")
@click.option("--once", is_flag=True, help="Score what is there, say how many, and end.")
@click.option("--parent", type=int, metavar="PID", help="End with the process of this number.")
def run_challenger(once: bool, parent: int | None) -> None:
    """Score what the model has decided by the candidate that LOAN_CHALLENGER names."""
    for number in (signal.SIGTERM, signal.SIGINT) if not once else ():
        signal.signal(number, _end)
    candidate = _try(lambda: Challenger(model.challenger))
    if once:
        click.echo(f"{_many(_try(candidate.score_pending))} scored by {candidate.name}")
        return
    work(candidate, parent=parent)


def _end(*_: object) -> None:
    raise SystemExit


def _try(act: Callable[[], T], *, hint: str = OUTDATED) -> T:
    """Turn what cannot be done into one clear line."""
    try:
        return act()
    except (NameRefused, NameTaken, NotFound, InvalidBundle, ModelUnavailable) as error:
        raise click.ClickException(str(error)) from None
    except DBAPIError as error:
        current_app.logger.debug("database", exc_info=error)
        words = str(error.orig).splitlines()[0]
        raise click.ClickException(f"the database: {words}{hint}") from None
