"""The `challenger` command."""

import click
from flask.cli import AppGroup

from webapp.beside import end_on_signals
from webapp.challenger.worker import Challenger, work
from webapp.commands import clear_errors, format_decision_count
from webapp.serving.served import model

challenger = AppGroup(
    "challenger", help="Run the challenger, which scores stored decisions in the background."
)


@challenger.command("run")
@click.option("--once", is_flag=True, help="Score what is waiting, print how many, and stop.")
@click.option("--parent", type=int, metavar="PID", help="Stop when this process has ended.")
def run_challenger(once: bool, parent: int | None) -> None:
    """Score stored decisions with the candidate that LOAN_CHALLENGER names."""
    if not once:
        end_on_signals()
    with clear_errors():
        candidate = Challenger(model.challenger)
    if once:
        with clear_errors():
            scored = candidate.score_pending()
        click.echo(f"{format_decision_count(scored)} scored by {candidate.name}")
        return
    work(candidate, parent=parent)
