"""The flask commands: prepare, users, api-keys."""

import secrets
from collections.abc import Callable
from typing import TypeVar

import click
from flask import Flask, current_app
from flask.cli import AppGroup, with_appcontext
from flask_migrate import upgrade
from sqlalchemy.exc import DBAPIError

from webapp import services
from webapp.services import NameRefused, NameTaken, NotFound

FIRST_USER = "admin"
OUTDATED = " (is it up to date? flask --app webapp prepare)"
T = TypeVar("T")

users = AppGroup("users", help="The people who sign in.")
api_keys = AppGroup("api-keys", help="The keys of other systems.")


def init_app(app: Flask) -> None:
    for command in (users, api_keys, prepare):
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


def _try(act: Callable[[], T], *, hint: str = OUTDATED) -> T:
    """Turn what cannot be done into one clear line."""
    try:
        return act()
    except (NameRefused, NameTaken, NotFound) as error:
        raise click.ClickException(str(error)) from None
    except DBAPIError as error:
        current_app.logger.debug("database", exc_info=error)
        words = str(error.orig).splitlines()[0]
        raise click.ClickException(f"the database: {words}{hint}") from None
