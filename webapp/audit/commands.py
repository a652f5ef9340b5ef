"""The command that computes stored decisions again."""

from datetime import datetime
from zoneinfo import ZoneInfo

import click
from flask import current_app
from flask.cli import with_appcontext

from webapp.audit.replay import Tally, replay
from webapp.commands import clear_errors, many

DAY = "%Y-%m-%d"


@click.command("replay")
@click.argument("number", type=int, required=False)
@click.option(
    "--since",
    type=click.DateTime([DAY]),
    metavar="YYYY-MM-DD",
    help="Only decisions from this day on, from midnight, LOAN_TIMEZONE.",
)
@with_appcontext
def replay_decisions(number: int | None, since: datetime | None) -> None:
    """Compute stored decisions again and compare the results.

    Give NUMBER for one decision, --since for those from a day on, or neither for all. The exit
    code is 0 if all of them match.
    """
    if number is not None and since is not None:
        raise click.UsageError("give NUMBER or --since, not both")
    moment = since and _midnight(since)
    with clear_errors():
        tally = replay(_tell, number=number, since=moment)
    _tell(_counted(tally))
    for version, count in sorted(tally.without_model.items()):
        _tell(f"{version}: {many(count)} not replayed: {tally.why[version]}")
    click.get_current_context().exit(0 if tally.proven else 1)


def _midnight(day: datetime) -> datetime:
    midnight = day.replace(tzinfo=ZoneInfo(current_app.config["BABEL_DEFAULT_TIMEZONE"]))
    try:
        midnight.astimezone(ZoneInfo("UTC"))
    except OverflowError:
        raise click.BadParameter(f"{day:{DAY}} is out of range", param_hint="--since") from None
    return midnight


def _tell(line: str) -> None:
    # A line may repeat what somebody put into a row by hand.
    click.echo("".join(c if c.isprintable() else "?" for c in line))


def _counted(tally: Tally) -> str:
    said = [
        f"{tally.matching:,} {'matches' if tally.matching == 1 else 'match'}",
        f"{tally.differing:,} {'does' if tally.differing == 1 else 'do'} not",
    ]
    if tally.erased:
        said.append(f"{tally.erased:,} erased")
    if missing := tally.without_model.total():
        said.append(f"{missing:,} not replayed")
    return f"{many(tally.decisions)}: {', '.join(said)}"
