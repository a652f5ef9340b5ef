"""What decisions themselves add to the history: that one was decided, its trials, its erasure."""

from collections.abc import Iterator

from flask_babel import gettext as _

from webapp.decisions import search
from webapp.decisions.damage import Damaged
from webapp.decisions.history import HistoryEvent
from webapp.decisions.records import Decision
from webapp.decisions.related import list_corrections
from webapp.language import integer, share


def decided(decision: Decision) -> Iterator[HistoryEvent]:
    what = {
        "granted": _("Decided: granted"),
        "refused": _("Decided: refused"),
        "referred": _("Decided: referred to a person"),
    }
    channel = {"api": _("API key"), "batch": _("batch")}.get(decision.channel, "")
    yield HistoryEvent(
        decision.created_at, decision.operator, what[decision.decision], str(channel)
    )


def tried(decision: Decision) -> Iterator[HistoryEvent]:
    for trial in search.list_trials(decision):
        if not isinstance(trial, Damaged):
            result = _("the model would grant") if trial.granted else _("the model would refuse")
            what = str(_("What-if tried"))
            more = f"{result} ({share(trial.probability)})"
            yield HistoryEvent(trial.created_at, trial.operator, what, more)


def corrected(decision: Decision) -> Iterator[HistoryEvent]:
    for later in list_corrections(decision.id):
        if not isinstance(later, Damaged):
            what = str(_("Corrected by decision %(number)s", number=integer(later.id)))
            yield HistoryEvent(later.created_at, later.operator, what)


def erased(decision: Decision) -> Iterator[HistoryEvent]:
    for moment, operator in search.list_erasures(decision.id):
        yield HistoryEvent(moment, operator, str(_("Contents erased")))
