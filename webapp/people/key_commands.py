"""The `api-keys` commands."""

import click
from flask.cli import AppGroup

from webapp.commands import clear_errors
from webapp.ledger.transaction import unit_of_work
from webapp.people import api_keys as keys
from webapp.people.commands import checked, print_line

api_keys = AppGroup("api-keys", help="Manage the API keys of other systems.")


@api_keys.command("create")
@click.argument("name")
def create_api_key(name: str) -> None:
    """Create an API key called NAME and print it on the last line, once only."""
    name = checked(name)
    with clear_errors(), unit_of_work() as transaction:
        key = keys.create_api_key(transaction, name)
    print_line(key)


@api_keys.command("revoke")
@click.argument("name")
def revoke_api_key(name: str) -> None:
    """Revoke the API key called NAME immediately."""
    with clear_errors(), unit_of_work() as transaction:
        keys.revoke_api_key(transaction, name)


@api_keys.command("list")
def list_api_keys() -> None:
    """List the API keys, who created them, and whether they are in use."""
    with clear_errors():
        listed = keys.list_api_keys()
    for key in listed:
        state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "in use"
        print_line(f"{key.name}\tcreated {key.created_at:%Y-%m-%d} by {key.created_by}\t{state}")
