"""The `monitor` command."""

import click
from flask.cli import AppGroup

from webapp.beside import end_on_signals
from webapp.commands import clear_errors
from webapp.monitoring.reporting.report import report
from webapp.monitoring.reporting.text import json_of, text_of
from webapp.monitoring.watch import check_daily, described, keep_watching, watch

DAYS = 30

monitor = AppGroup("monitor", help="Watch whether the model still works.")


@monitor.command("run")
@click.option("--once", is_flag=True, help="Count and compare what is waiting, and stop.")
@click.option("--parent", type=int, metavar="PID", help="Stop when this process has ended.")
def run_monitor(once: bool, parent: int | None) -> None:
    """Count the hours and compare the days that have ended, until it is stopped.

    It can be stopped and started at any time: it goes on where the tables end.
    """
    if once:
        with clear_errors():
            audited = check_daily()
            watched = watch()
        if watched is None:
            raise click.ClickException("another process is doing this at the moment")
        click.echo(described(watched))
        if audited is not None:
            click.echo(str(audited))
        return
    end_on_signals()
    with clear_errors():
        keep_watching(parent=parent)


@monitor.command("report")
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=DAYS,
    show_default=True,
    help="How many days are counted, up to today.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def print_report(days: int, as_json: bool) -> None:
    """Print what is known of the model in service, over the last days up to now.

    The exit code is 1 if there is something to do.
    """
    with clear_errors():
        found = report(days=days)
    if found is None:
        raise click.ClickException("the model in service is not kept")
    click.echo(json_of(found) if as_json else text_of(found))
    click.get_current_context().exit(1 if found.findings else 0)
