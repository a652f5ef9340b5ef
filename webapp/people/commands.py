"""The `users`, `api-keys` and `prepare` commands."""

import secrets

import click
from flask.cli import AppGroup, with_appcontext
from flask_migrate import upgrade
from flask_security import hash_password

from webapp.commands import as_typed, clear_errors
from webapp.ledger.transaction import unit_of_work
from webapp.people import api_keys as keys, service
from webapp.people.access import ROLES
from webapp.people.tables import Role

FIRST_USER = "admin"

users = AppGroup("users", help="Manage the people who sign in.")
api_keys = AppGroup("api-keys", help="Manage the API keys of other systems.")


@click.command()
@with_appcontext
def prepare() -> None:
    """Create or update the tables of the database, and create the first user."""
    with clear_errors(hint=""):
        upgrade()
    password, hashed = _new_password()
    with clear_errors(hint=""), unit_of_work() as transaction:
        first = service.create_first_user(transaction, FIRST_USER, password_hash=hashed)
    with clear_errors():
        if first:
            click.echo(f"\n  First start: sign in as {FIRST_USER} with the password {password}")
            click.echo("  It is not shown again.\n")
        else:
            click.echo(f"\n  Sign in as {FIRST_USER}, or as any other user. A new password:")
            click.echo(f"  {as_typed(f'users set-password {FIRST_USER}')}\n")


@users.command("create")
@click.argument("name")
@click.option(
    "--role",
    "roles",
    type=click.Choice(ROLES),
    multiple=True,
    default=("clerk",),
    show_default=True,
    help="What the user may do; can be repeated.",
)
@click.option("--full-name", help="The person's full name.")
def create_user(name: str, roles: tuple[Role, ...], full_name: str | None) -> None:
    """Create the user NAME and print a generated password on the last line."""
    name = _checked(name)
    password, hashed = _new_password()
    with clear_errors(), unit_of_work() as transaction:
        service.create_user(
            transaction, name, password_hash=hashed, roles=roles, full_name=full_name
        )
    _print(password)


@users.command("set-password")
@click.argument("name")
def set_password(name: str) -> None:
    """Set a new password for the user NAME and print it on the last line.

    All sessions of the user end.
    """
    password, hashed = _new_password()
    with clear_errors(), unit_of_work() as transaction:
        service.set_password(transaction, name, password_hash=hashed)
    _print(password)


@users.command("deactivate")
@click.argument("name")
def deactivate_user(name: str) -> None:
    """Stop the user NAME from signing in.

    All sessions of the user end.
    """
    with clear_errors(), unit_of_work() as transaction:
        service.set_active(transaction, name, active=False)


@users.command("activate")
@click.argument("name")
def activate_user(name: str) -> None:
    """Let the user NAME sign in again."""
    with clear_errors(), unit_of_work() as transaction:
        service.set_active(transaction, name, active=True)


@api_keys.command("create")
@click.argument("name")
def create_api_key(name: str) -> None:
    """Create an API key called NAME and print it on the last line, once only."""
    name = _checked(name)
    with clear_errors(), unit_of_work() as transaction:
        key = keys.create_api_key(transaction, name)
    _print(key)


@api_keys.command("revoke")
@click.argument("name")
def revoke_api_key(name: str) -> None:
    """Revoke the API key called NAME immediately."""
    with clear_errors(), unit_of_work() as transaction:
        keys.revoke_api_key(transaction, name)


@api_keys.command("list")
def list_api_keys() -> None:
    """List the API keys."""
    with clear_errors():
        listed = keys.list_api_keys()
    for key in listed:
        state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "in use"
        _print(f"{key.name}\tcreated {key.created_at:%Y-%m-%d}\t{state}")


def _print(line: str) -> None:
    with clear_errors():
        click.echo(line)


def _new_password() -> tuple[str, str]:
    """Return a generated password and its hash; slow, so call it outside of transactions."""
    password = secrets.token_urlsafe(12)
    return password, hash_password(password)


def _checked(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= 64 or not name.isprintable():
        raise click.ClickException("a name has 1 to 64 printable characters")
    return name
