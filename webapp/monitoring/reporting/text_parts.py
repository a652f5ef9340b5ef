"""Parts of the report of the watch as text; a part without figures has no lines."""

from collections.abc import Iterator

from ml.monitoring.sequential import LOG_ALARM
from webapp.monitoring.reporting.challengers import Challengers
from webapp.monitoring.reporting.fairness import Fairness, GroupReport
from webapp.monitoring.reporting.reasons import Reasons
from webapp.monitoring.reporting.volume import Volume

NO_FIGURE = "–"


def challenger_lines(challengers: Challengers) -> Iterator[str]:
    if not challengers.compared:
        return
    yield ""
    yield (
        f"{'challenger':16}{'granted from':>14}{'loans':>9}{'Brier':>8}{'its':>8}"
        f"{'better':>9}{'worse':>9}   alarm from {LOG_ALARM:.1f}"
    )
    for one in challengers.compared:
        yield (
            f"{one.challenger:16}{one.period!s:>14}{one.outcomes:9,}{one.champion_brier:8.3f}"
            f"{one.challenger_brier:8.3f}{one.better:9.1f}{one.worse:9.1f}"
        )


def fairness_lines(fairness: Fairness) -> Iterator[str]:
    for field in fairness.fields:
        yield ""
        yield (
            f"{field.label.en}, {fairness.first:%Y-%m} to {fairness.last:%Y-%m}: groups of "
            f"{field.shown / fairness.decisions:.1%} of the applications"
        )
        yield (
            f"{'':24}{'rows':>9}{'granted':>9}{'ratio':>8}{'low':>8}{'high':>8}{'bad':>8}"
            f"   limits {fairness.limit:.2f} to {1 / fairness.limit:.2f}"
        )
        yield from map(_group_line, field.groups)


def reason_lines(reasons: Reasons) -> Iterator[str]:
    if reasons.reasons:
        yield ""
        yield (
            f"{'principal reasons':40}{'now':>8}{'before':>8}   of {reasons.refusals:,} refusals, "
            f"and {reasons.refusals_before:,} in as many days before"
        )
    for one in reasons.reasons:
        now = _share(one.refusals, reasons.refusals)
        yield f"{one.label.en:40}{now:>8}{_share(one.refusals_before, reasons.refusals_before):>8}"
    if reasons.trials or reasons.trials_before:
        yield ""
        yield (
            f"{reasons.trials:,} trials, {_share(reasons.trials_granted, reasons.trials)} would be "
            f"granted; before: {reasons.trials_before:,}, "
            f"{_share(reasons.trials_before_granted, reasons.trials_before)}"
        )


def volume_line(volume: Volume) -> str:
    if not volume.most:
        return "no decision in the last seven days"
    return (
        f"busiest hour of the last seven days: {volume.busiest:%Y-%m-%d %H:%M} UTC, "
        f"{volume.most:,} decisions; {volume.hours.count(0)} of {len(volume.hours)} hours without"
    )


def _group_line(group: GroupReport) -> str:
    if not group.decisions:
        return f"{group.label.en:24}   not assessable"
    ratio = group.ratio
    figures = [ratio.value, ratio.low, ratio.high] if ratio else [None] * 3
    shown = "".join(f"{NO_FIGURE:>8}" if x is None else f"{x:8.2f}" for x in figures)
    return (
        f"{group.label.en:24}{group.decisions:9,}{group.granted / group.decisions:9.1%}{shown}"
        f"{_share(group.bad, group.outcomes):>8}   {group.verdict.replace('_', ' ')}"
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else NO_FIGURE
