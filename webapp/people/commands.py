"""The commands for people and API keys, and the first start."""

import secrets

import click
from flask.cli import AppGroup, with_appcontext
from flask_migrate import upgrade

from webapp.commands import attempt
from webapp.people import api_keys as keys, service

FIRST_USER = "admin"


users = AppGroup("users", help="The people who sign in.")


api_keys = AppGroup("api-keys", help="The keys of other systems.")


def _checked(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= 64 or not name.isprintable():
        raise click.ClickException("a name has 1 to 64 printable characters")
    return name


@click.command()
@with_appcontext
def prepare() -> None:
    """Bring the database up to date and create the first user."""
    attempt(upgrade, hint="")
    password = secrets.token_urlsafe(12)
    if attempt(lambda: service.create_first_user(FIRST_USER, password), hint=""):
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
    attempt(lambda: service.create_user(_checked(name), password))
    click.echo(password)


@users.command("set-password")
@click.argument("name")
def set_password(name: str) -> None:
    """Give the user NAME a generated password, on the last line; their sessions end."""
    password = secrets.token_urlsafe(12)
    attempt(lambda: service.set_password(name, password))
    click.echo(password)


@api_keys.command("create")
@click.argument("name")
def create_api_key(name: str) -> None:
    """Create an API key called NAME; the last line is the key, shown this once."""
    click.echo(attempt(lambda: keys.create_api_key(_checked(name))))


@api_keys.command("revoke")
@click.argument("name")
def revoke_api_key(name: str) -> None:
    """Revoke the API key called NAME, at once."""
    attempt(lambda: keys.revoke_api_key(name))


@api_keys.command("list")
def list_api_keys() -> None:
    """List the API keys."""
    for key in attempt(keys.list_api_keys):
        state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "in use"
        click.echo(f"{key.name}\tcreated {key.created_at:%Y-%m-%d}\t{state}")
