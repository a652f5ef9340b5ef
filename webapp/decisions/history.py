"""The history of a decision: who did what and when, as told by every capability."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, current_app
from flask.blueprints import BlueprintSetupState

from webapp.decisions.records import Decision


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """Something that an operator did about a decision.

    `what` is a few words in the language of the page, such as "Outcome recorded: good", and `more`
    is what else is known of it, such as a reason. Both hold only what everyone who may see the
    decision may read, and nothing that an erasure would have to remove.
    """

    moment: datetime
    operator: str  # its name
    what: str
    more: str = ""


Source = Callable[[Decision], Iterable[HistoryEvent]]
SOURCES = "history"  # the name of their list among the extensions of the application


def register(blueprint: Blueprint, source: Source) -> None:
    """Let a capability tell of its events: `source` is called with a decision."""

    def add(state: BlueprintSetupState) -> None:
        state.app.extensions.setdefault(SOURCES, []).append(source)

    blueprint.record_once(add)


def history_of(decision: Decision) -> list[HistoryEvent]:
    """Return the events of a decision, oldest first."""
    sources: list[Source] = current_app.extensions[SOURCES]
    events = [event for source in sources for event in source(decision)]
    return sorted(events, key=lambda event: event.moment)
