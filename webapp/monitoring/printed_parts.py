"""Parts of the report of the watch as text; a part without figures has no lines."""

from collections.abc import Iterator

from ml.monitoring.sequential import LOG_ALARM
from webapp.monitoring.challenger_report import Challengers


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
