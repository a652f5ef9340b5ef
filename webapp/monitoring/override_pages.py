"""The page of what people disagree with the model on."""

from datetime import date, timedelta

from flask import g, render_template, request

from webapp.columns import now
from webapp.extensions import settings
from webapp.monitoring.pages import blueprint
from webapp.monitoring.realised import ripe_before
from webapp.monitoring.reporting.overrides import FEW, Overrides, Word, overrides
from webapp.people.access import may
from webapp.reviews.records import CODES, Closing

DAYS = 365  # until today, unless a period is asked for
PERIODS = (30, 90, 365)


@blueprint.get("/monitoring/overrides")
def show_overrides() -> str:
    today = now().date()
    last = _day("to") or today
    first = _day("from") or last - timedelta(days=DAYS - 1)
    if first > last:
        first, last = last, first
    days = settings().observation_days
    found = overrides(first=first, before=last + timedelta(days=1), ripe=ripe_before(days))
    return render_template(
        "monitoring/overrides.html",
        found=found,
        last=last,
        codes={final: _codes(found, final) for final in ("granted", "refused")},
        causes=found.by(lambda word: word.cause),
        reviewers=[s for s in found.by(_reviewer) if _is_shown(s.name)],
        few=FEW,
        observation_days=days,
        periods={days: today - timedelta(days=days - 1) for days in PERIODS},
        today=today,
    )


def _reviewer(word: Word) -> str:
    return word.reviewer


def _is_shown(reviewer: str) -> bool:
    """Whether the figures of a reviewer are shown: to analysts, and to the reviewer."""
    return may("monitoring.show") or reviewer == g.operator.name


def _codes(found: Overrides, final: Closing) -> list[tuple[object, int]]:
    return [(CODES[final].get(code, code), count) for code, count in found.codes(final)]


def _day(name: str) -> date | None:
    """Return a day in the query; None if there is none, or none that exists."""
    try:
        day = date.fromisoformat(request.args.get(name, ""))
    except ValueError:
        return None
    return day if date(1900, 1, 1) <= day <= date(9000, 1, 1) else None
