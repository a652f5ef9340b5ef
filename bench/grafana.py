"""The SQL of the dashboards as Grafana sends it: with its macros and variables expanded."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

DASHBOARDS = Path(__file__).parents[1] / "grafana/dashboards"
POSTGRESQL = "loan-desk-postgresql"
MACRO = re.compile(r"\$(__time\w+)\(([^)]*)\)")
HOUR = timedelta(hours=1)
SECONDS = {"h": 3_600, "d": 86_400}

Json = dict[str, Any]


@dataclass(frozen=True)
class Query:
    """A query of a dashboard, with the shortest interval that it groups by."""

    dashboard: str
    title: str  # of its panel, or the name of a variable or an annotation
    text: str
    every: timedelta = HOUR
    points: int = 100


@dataclass(frozen=True)
class Shown:
    """What a viewer has chosen: a time range, and products, models and attributes, or all."""

    start: datetime
    end: datetime
    products: Sequence[str] | None = None
    models: Sequence[str] | None = None
    fields: Sequence[str] | None = None  # protected attributes


def read_dashboards() -> list[Json]:
    """Read every dashboard, in the order of their files."""
    return [json.loads(file.read_text()) for file in sorted(DASHBOARDS.glob("*.json"))]


def sql_of(dashboards: Sequence[Json]) -> Iterator[Query]:
    """Yield the SQL of panels, annotations and variables."""
    for dashboard in dashboards:
        for panel in dashboard["panels"]:
            yield from _of_panel(dashboard["title"], panel)
        for annotation in dashboard["annotations"]["list"]:
            if "rawSql" in annotation.get("target", {}):
                text = annotation["target"]["rawSql"]
                yield Query(dashboard["title"], annotation["name"], text)
        for variable in dashboard["templating"]["list"]:
            if variable.get("datasource", {}).get("uid") == POSTGRESQL:
                yield Query(dashboard["title"], variable["name"], variable["query"])


def _of_panel(dashboard: str, panel: Json) -> Iterator[Query]:
    grouped = _interval(panel.get("interval", "1h")), panel.get("maxDataPoints", 100)
    for target in panel.get("targets", []):
        if "rawSql" in target:
            yield Query(dashboard, panel["title"], target["rawSql"], *grouped)


def expand(query: Query, shown: Shown) -> str:
    """Expand a query as Grafana does; the value for All is the column itself."""
    span = (shown.end - shown.start) / query.points
    hours = max(query.every, HOUR * -(-span // HOUR))
    seconds = int(hours.total_seconds())

    def macro(match: re.Match[str]) -> str:
        name, arguments = match[1], [a.strip() for a in match[2].split(",")]
        if name == "__timeFilter":
            return f"{arguments[0]} BETWEEN {_instant(shown.start)} AND {_instant(shown.end)}"
        if name in ("__timeFrom", "__timeTo"):
            return _instant(shown.start if name == "__timeFrom" else shown.end)
        # A third argument says what Grafana itself puts in empty intervals.
        if name != "__timeGroupAlias" or arguments[2:] not in ([], ["0"], ["NULL"]):
            raise ValueError(f"not known here: {match[0]}")
        return f'floor(extract(epoch from {arguments[0]})/{seconds})*{seconds} AS "time"'

    text = query.text.replace("$product", _quoted("product", shown.products))
    text = text.replace("$model", _quoted("model", shown.models))
    text = text.replace("$field", _quoted("field", shown.fields))
    text = MACRO.sub(macro, text.replace("$__interval", f"{seconds}s"))
    if "$" in text:
        raise ValueError(f"not expanded: {text}")
    return text


def _interval(text: str) -> timedelta:
    return timedelta(seconds=int(text[:-1]) * SECONDS[text[-1]])


def _instant(moment: datetime) -> str:
    return "'" + moment.astimezone(UTC).isoformat().replace("+00:00", "Z") + "'"


def _quoted(every: str, chosen: Sequence[str] | None) -> str:
    if chosen is None:
        return every
    return ",".join("'" + one.replace("'", "''") + "'" for one in chosen)
