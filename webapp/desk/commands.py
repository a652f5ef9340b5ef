"""The `desk` commands: refer every application to a person, or decide again."""

import click
from flask.cli import AppGroup

from webapp.commands import clear_errors, echo_printable
from webapp.desk import service
from webapp.ledger.transaction import unit_of_work
from webapp.people.operators import system

desk = AppGroup("desk", help="Switch between deciding and referring every application.")
reason = click.option("--reason", required=True, help="Why; kept in the database for good.")


@desk.command("refer")
@reason
def refer_all(reason: str) -> None:
    """Refer every application to a person from now on."""
    _switch(referring=True, reason=reason)


@desk.command("decide")
@reason
def decide_again(reason: str) -> None:
    """Let the model and the policy rules decide again."""
    _switch(referring=False, reason=reason)


@desk.command("status")
def show_status() -> None:
    """Print what the desk does, and the latest changes."""
    with clear_errors():
        referring, switches = service.is_referring(), service.list_switches()
    click.echo("every application is referred" if referring else "the desk decides")
    for one in switches:
        what = "refer" if one.referring else "decide"
        echo_printable(f"{one.created_at:%Y-%m-%d %H:%M} UTC  {what}  {one.operator}  {one.reason}")


def _switch(*, referring: bool, reason: str) -> None:
    with clear_errors(), unit_of_work() as transaction:
        operator = system(transaction)
        service.switch(transaction, referring=referring, reason=reason, operator=operator)
