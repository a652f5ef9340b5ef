"""The `replay` command."""

from datetime import datetime
from zoneinfo import ZoneInfo

import click
from flask import current_app
from flask.cli import with_appcontext

from webapp.audit.replay import Tally, replay
from webapp.commands import clear_errors, echo_printable, format_decision_count
from webapp.processes import MAX_PROCESSES, available

DATE_FORMAT = "%Y-%m-%d"
PROCESSES = click.option(
    "--processes",
    type=click.IntRange(1, MAX_PROCESSES),
    default=available,
    help="How many processes compute; by default one for each processor.",
)


@click.command("replay")
@click.argument("number", type=int, required=False)
@click.option(
    "--since",
    type=click.DateTime([DATE_FORMAT]),
    metavar="YYYY-MM-DD",
    help="Only decisions from this day on, from midnight, LOAN_TIMEZONE.",
)
@PROCESSES
@with_appcontext
def replay_decisions(number: int | None, since: datetime | None, processes: int) -> None:
    """Compute stored decisions again and compare the results.

    Give NUMBER for one decision, --since for those from a day on, or neither for all. The exit
    code is 0 if all of them match.
    """
    if number is not None and since is not None:
        raise click.UsageError("give NUMBER or --since, not both")
    moment = since and _midnight(since)
    with clear_errors():
        tally = replay(echo_printable, number=number, since=moment, processes=processes)
    echo_printable(_summary(tally))
    for version, count in sorted(tally.without_model.items()):
        decisions = format_decision_count(count)
        echo_printable(f"{version}: {decisions} not replayed: {tally.model_errors[version]}")
    click.get_current_context().exit(0 if tally.all_match else 1)


def _midnight(day: datetime) -> datetime:
    midnight = day.replace(tzinfo=ZoneInfo(current_app.config["BABEL_DEFAULT_TIMEZONE"]))
    try:
        midnight.astimezone(ZoneInfo("UTC"))
    except OverflowError:
        message = f"date out of range: {day:{DATE_FORMAT}}"
        raise click.BadParameter(message, param_hint="--since") from None
    return midnight


def _summary(tally: Tally) -> str:
    parts = [
        f"{tally.matching:,} {'matches' if tally.matching == 1 else 'match'}",
        f"{tally.differing:,} {'does' if tally.differing == 1 else 'do'} not",
    ]
    if tally.erased:
        parts.append(f"{tally.erased:,} erased")
    if missing := tally.without_model.total():
        parts.append(f"{missing:,} not replayed")
    return f"{format_decision_count(tally.decisions)}: {', '.join(parts)}"
