"""The `demo` command."""

from datetime import timedelta

import click
from flask.cli import with_appcontext

from webapp.columns import now
from webapp.commands import clear_errors
from webapp.demo.history import History
from webapp.demo.service import is_empty, store_history
from webapp.extensions import settings


@click.command("demo")
@click.option(
    "--days",
    type=click.IntRange(30, 3650),
    default=180,
    show_default=True,
    help="How long the history is, up to yesterday.",
)
@click.option(
    "--decisions",
    type=click.IntRange(100, 10_000_000),
    default=50_000,
    show_default=True,
    help="How many decisions it has.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="The same seed gives the same history.",
)
@with_appcontext
def make_demo(days: int, decisions: int, seed: int) -> None:
    """Fill an empty database with an invented history, marked as such.

    Real rows of the training data are decided at plausible hours. From one day on, larger loans
    are applied for; from another day on, more of the granted loans go bad than expected.
    """
    with clear_errors():
        if not is_empty():
            raise click.ClickException(
                "the database holds decisions already: set LOAN_INSTANCE to a new folder"
            )
        settings().demo_mark.touch()  # first, so that invented decisions are never unmarked
        first = now().date() - timedelta(days=days)
        history = History(first, days, decisions, seed)
        store_history(history, click.echo)
    click.echo(f"from {history.broken} on, more loans go bad")
    click.echo(f"from {history.drift} on, larger loans are applied for")
