"""The form of a decision's outcome."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import RadioField, SelectField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs

from ml.product.errors import FieldError
from webapp.language import words
from webapp.outcomes.files import read_outcome
from webapp.outcomes.records import NewOutcome

GOOD_OR_BAD = {"good": _("Good: repaid as agreed"), "bad": _("Bad: not repaid as agreed")}
REASONS = {
    "mistake": _("It was recorded by mistake"),
    "changed": _("The loan has changed since"),
    "dispute": _("The customer disputed it, and was right"),
}


def _choices(labels: dict[str, Any]) -> list[SelectChoice]:
    return [SelectChoice(value, label) for value, label in labels.items()]


class OutcomeForm(FlaskForm):  # type: ignore[misc]
    """An outcome to record; a correction has a reason."""

    outcome = RadioField(_("Outcome"), choices=_choices(GOOD_OR_BAD), validate_choice=False)
    date = StringField(_("Known on"), render_kw={"type": "date"})
    reason = SelectField(
        _("Why the outcome is corrected"),
        choices=_choices({"": _("Choose…"), **REASONS}),
        validate_choice=False,
    )

    def read(self, number: int) -> NewOutcome | None:
        """Return the outcome of a decision, or None after each error was added to its field."""
        if not self.validate_on_submit():
            return None
        read = read_outcome({n: (self[n].data or "").strip() for n in _NAMES}, number)
        if isinstance(read, NewOutcome):
            return read
        self.show(read)
        return None

    def show(self, errors: Sequence[FieldError]) -> None:
        """Add errors to the fields that they are about."""
        for error in errors:
            self[error.field].errors = [_MESSAGES.get(error.code) or words(error.message)]


_NAMES = ("outcome", "date", "reason")
# Where the message names the values that a file or a request has.
_MESSAGES = {
    "outcome": _("Choose one of the answers."),
    "date": _("Enter a date."),
    "reason": _("Choose one of the answers."),
    "correction": _("Say why the outcome is corrected."),
    "first": _("There is no outcome to correct."),
}


def outcome_form(*, today: date) -> OutcomeForm:
    values: dict[str, Any] = {"date": today.isoformat()}
    return OutcomeForm(data=values)
