"""The `monitor` command."""

import json
from dataclasses import asdict
from datetime import date

import click
from flask.cli import AppGroup

from ml.monitoring.sequential import LOG_ALARM
from ml.product.texts import Text
from webapp.beside import end_on_signals
from webapp.commands import clear_errors
from webapp.monitoring.report import FieldReport, Report, report
from webapp.monitoring.watch import described, keep_watching, watch

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
            watched = watch()
        if watched is None:
            raise click.ClickException("another process is doing this at the moment")
        click.echo(described(watched))
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

    The exit code is 1 if there is something to look at.
    """
    with clear_errors():
        found = report(days=days)
    if found is None:
        raise click.ClickException("the model in service is not kept")
    click.echo(_as_json(found) if as_json else _as_text(found))
    click.get_current_context().exit(1 if found.findings else 0)


FINDINGS = {
    "miscalibrated": "loans are not good as often as their probabilities say",
    "score_changed": "the scores no longer come from the distribution of the training data",
    "score_moved": "the scores of the last week differ much from the training data",
    "fields_moved": "the values of some fields in the last week differ much from the training data",
    "unusual": "many applications are unlike the training data",
}


def _as_json(found: Report) -> str:
    shown = {
        **{k: v for k, v in asdict(found).items() if k != "product"},
        "product": found.product.name,
        "findings": found.findings,
    }
    return json.dumps(shown, indent=1, default=_plain)


def _plain(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Text):
        return value.en
    raise TypeError(type(value).__name__)


def _as_text(found: Report) -> str:
    lines = [
        f"{found.product.name}, {found.model}, since {found.first}",
        f"{found.decisions:,} decisions, {_share(found.granted, found.decisions)} granted, "
        f"{_share(found.unusual, found.watched)} unlike the training data "
        f"(training rows: {found.unusual_in_training:.1%})",
        f"last day compared: {found.last or 'none yet'}",
        "",
        f"{'':24}{'missing':>9}{'training':>10}{'unusual':>9}{'day':>8}{'week':>8}{'chance':>8}",
    ]
    lines += [_line(f) for f in (found.score, *found.fields)]
    if found.evidence is not None and found.highest is not None:
        lines += [
            "",
            f"evidence for a change of the score: {found.evidence:.1f}, at most "
            f"{found.highest:.1f} in this quarter and the last; alarm from {LOG_ALARM:.1f}",
        ]
    lines += _outcome_lines(found)
    verdict = [f"Look at the data: {FINDINGS[f]}." for f in found.findings]
    return "\n".join([*lines, "", *(verdict or ["Nothing to do."])])


def _outcome_lines(found: Report) -> list[str]:
    if not found.months:
        return ["", "no outcomes are known"]
    lines = [
        "",
        f"{'granted in':12}{'loans':>9}{'known':>9}{'bad':>8}{'expected':>10}"
        f"{'Brier':>8}{'AUC':>8}",
    ]
    for m in found.months:
        r = m.realised
        bad, expected = r.outcomes - r.good, r.outcomes - r.expected
        area = "–" if r.roc_auc is None else f"{r.roc_auc:.3f}"
        lines.append(
            f"{m.month:%Y-%m}     {m.granted:9,}{r.outcomes:9,}{bad / r.outcomes:8.1%}"
            f"{expected / r.outcomes:10.1%}{r.brier:8.3f}{area:>8}"
        )
    if found.calibration:
        c = found.calibration
        lines += [
            "",
            f"evidence against the probabilities: {c.evidence:.1f}, at most {c.highest:.1f}, from "
            f"{c.outcomes:,} loans granted in the quarter from {c.period}",
        ]
    return lines


def _line(f: FieldReport) -> str:
    if f.missing is None:
        shares = f"{'':28}"
    else:
        shares = f"{f.missing:9.1%}{f.missing_in_training:10.1%}{f.unusual or 0:9.1%}"
    day, week = (f"{s.index:8.3f}" if s else f"{'–':>8}" for s in (f.day, f.week))
    bound = f"{f.week.bound:8.3f}" if f.week else f"{'–':>8}"
    return f"{f.name or 'score':24}{shares}{day}{week}{bound}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "–"
