"""The `users` and `prepare` commands."""

import click
from flask.cli import AppGroup, with_appcontext
from flask_migrate import upgrade

from webapp.commands import as_typed, clear_errors, echo_printable
from webapp.ledger.transaction import unit_of_work
from webapp.people import api_keys, second_factor, service
from webapp.people.access import ROLES
from webapp.people.passwords import new_password
from webapp.people.persons import list_people
from webapp.people.tables import MAX_FULL_NAME, MAX_NAME, Role

FIRST_USER = "admin"

users = AppGroup("users", help="Manage the people who sign in.")


@click.command()
@with_appcontext
def prepare() -> None:
    """Create or update the tables of the database, and create the first user."""
    with clear_errors(hint=""):
        upgrade()
    password, hashed = new_password()
    with clear_errors(hint=""), unit_of_work() as transaction:
        first = service.create_first_user(transaction, FIRST_USER, password_hash=hashed)
    with clear_errors():
        if first:
            click.echo(f"\n  First start: sign in as {FIRST_USER} with the password {password}")
            click.echo("  It is not shown again. When you sign in, you choose another.")
            click.echo(f"  Roles: {', '.join(service.FIRST_ROLES)}.\n")
        else:
            click.echo(f"\n  Sign in as {FIRST_USER}, or as any other user. A new password:")
            click.echo(f"  {as_typed(f'users set-password {FIRST_USER}')}\n")


@users.command("list")
def list_users() -> None:
    """List the users with their full names, roles and second factors."""
    with clear_errors():
        for person in list_people():
            factor = "second factor" if person.second_factor else "password only"
            state = "enabled" if person.active else "disabled"
            columns = (person.name, person.full_name, ",".join(person.roles), factor, state)
            echo_printable(" | ".join(columns))


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
    name = checked(name)
    if full_name is not None:
        full_name = checked(full_name, what="a full name", longest=MAX_FULL_NAME)
    password, hashed = new_password()
    with clear_errors(), unit_of_work() as transaction:
        service.create_user(
            transaction, name, password_hash=hashed, roles=roles, full_name=full_name
        )
    print_line(password)


@users.command("set-password")
@click.argument("name")
def set_password(name: str) -> None:
    """Set a new password for the user NAME and print it on the last line.

    All sessions of the user end.
    """
    password, hashed = new_password()
    with clear_errors(), unit_of_work() as transaction:
        number = service.number_of(transaction, name)
        service.set_password(transaction, number, password_hash=hashed)
    print_line(password)


@users.command("set-roles")
@click.argument("name")
@click.argument("roles", type=click.Choice(ROLES), nargs=-1, required=True)
def set_roles(name: str, roles: tuple[Role, ...]) -> None:
    """Give the user NAME these ROLES and no others.

    All sessions of the user end.
    """
    with clear_errors(), unit_of_work() as transaction:
        service.set_roles(transaction, service.number_of(transaction, name), roles)


@users.command("disable")
@click.argument("name")
def disable_user(name: str) -> None:
    """Stop the user NAME from signing in.

    All sessions of the user end. API keys that the user made stay in use, and are printed.
    """
    with clear_errors(), unit_of_work() as transaction:
        number = service.number_of(transaction, name)
        service.set_active(transaction, number, active=False)
    with clear_errors():
        for key in api_keys.keys_in_use(number):
            echo_printable(f"still in use: the API key {key}")


@users.command("enable")
@click.argument("name")
def enable_user(name: str) -> None:
    """Let the user NAME sign in again."""
    with clear_errors(), unit_of_work() as transaction:
        number = service.number_of(transaction, name)
        service.set_active(transaction, number, active=True)


@users.command("reset-second-factor")
@click.argument("name")
def reset_second_factor(name: str) -> None:
    """Turn off the second factor of the user NAME, who has lost it."""
    with clear_errors(), unit_of_work() as transaction:
        second_factor.turn_off(transaction, service.number_of(transaction, name))


def print_line(line: str) -> None:
    with clear_errors():
        click.echo(line)


def checked(name: str, *, what: str = "a name", longest: int = MAX_NAME) -> str:
    name = name.strip()
    if not 1 <= len(name) <= longest or not name.isprintable():
        raise click.ClickException(f"{what} has 1 to {longest} printable characters")
    return name
