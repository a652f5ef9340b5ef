"""The form of the list's filter: its choices, its messages, and what it says of a filter."""

from collections.abc import Callable
from datetime import date
from typing import NamedTuple, TypeVar

from flask_babel import gettext, lazy_gettext as _

from webapp.decisions.filters import Filter
from webapp.decisions.values import DECISION_NAMES
from webapp.language import day, integer, share

T = TypeVar("T")
CHANNELS = {"desk": _("At the desk"), "batch": _("In a batch"), "api": _("By the API")}
REVIEWED = {"yes": _("Reviewed"), "open": _("Review not closed"), "no": _("Never in review")}
NOVELTIES = {"unusual": _("Unusual applications"), "usual": _("Usual applications")}
SORT_NAMES = {
    "newest": _("Newest first"),
    "oldest": _("Oldest first"),
    "amount_high": _("Highest amount first"),
    "amount_low": _("Lowest amount first"),
    "probability_high": _("Highest probability first"),
    "probability_low": _("Lowest probability first"),
    "novelty_high": _("Most unusual first"),
    "novelty_low": _("Least unusual first"),
}
MESSAGES = {
    "date": _("Enter a date."),
    "number": _("Enter a whole number."),
    "percentage": _("Enter a percentage from 0 to 100."),
    "text": _("Enter ordinary characters."),
    "choice": _("Choose one of the answers."),
    "range": _("Must not be less than the other value."),
}


class Chip(NamedTuple):
    """A part of the filter that is on, in words, and the parameters that are it."""

    text: str
    parameters: tuple[str, ...]


def chips_of(f: Filter) -> list[Chip]:
    """Return what leaves decisions out, in the order of the form."""
    texts = [
        (f.search, gettext("Reference: %(text)s", text=f.search), ("search",)),
        (f.decision, DECISION_NAMES.get(f.decision or "", ""), ("decision",)),
        (f.reviewed, REVIEWED.get(f.reviewed or "", ""), ("reviewed",)),
        (f.channel, CHANNELS.get(f.channel or "", ""), ("channel",)),
        (f.operator, gettext("Decided by: %(name)s", name=f.operator), ("operator",)),
        (f.mine, gettext("Decided by me"), ("mine",)),
        (f.model, gettext("Model: %(version)s", version=f.model), ("model",)),
        (f.novelty, NOVELTIES.get(f.novelty or "", ""), ("novelty",)),
        (f.since or f.until, _days(f.since, f.until), ("from", "to")),
        _range(
            gettext("Amount"), ("amount_from", "amount_to"), f.amount_from, f.amount_to, integer
        ),
        _range(
            gettext("Probability"),
            ("probability_from", "probability_to"),
            *(f.probability_from, f.probability_to),
            share,
        ),
    ]
    return [Chip(str(text), names) for on, text, names in texts if on is not None]


def _days(since: date | None, until: date | None) -> str:
    first = "" if since is None else day(since)
    last = "" if until is None else day(until)
    if not last:
        return str(gettext("Decided from %(day)s", day=first))
    if not first:
        return str(gettext("Decided up to %(day)s", day=last))
    return str(gettext("Decided from %(first)s to %(last)s", first=first, last=last))


def _range(
    what: str, names: tuple[str, ...], low: T | None, high: T | None, written: Callable[[T], str]
) -> tuple[object, str, tuple[str, ...]]:
    if low is None and high is None:
        return None, "", names
    first = "" if low is None else written(low)
    last = "" if high is None else written(high)
    if not last:
        text = gettext("%(what)s from %(low)s", what=what, low=first)
    elif not first:
        text = gettext("%(what)s up to %(high)s", what=what, high=last)
    else:
        text = gettext("%(what)s from %(low)s to %(high)s", what=what, low=first, high=last)
    return True, text, names
