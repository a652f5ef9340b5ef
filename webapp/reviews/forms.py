"""The forms with which a review is opened, worked on and closed."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import BooleanField, DateField, RadioField, SelectField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import DataRequired, InputRequired, Length

from ml.product.texts import Text
from webapp.language import words
from webapp.reviews.closing import NewClosing
from webapp.reviews.records import (
    CLOSINGS,
    CODES,
    EXPLAINED,
    MAX_NOTE_LENGTH,
    Cause,
    NoteKind,
    Person,
    ReviewedDecision,
)
from webapp.reviews.wording import closings_of, codes_of

TOO_LONG = _("Shorten this text to at most %(max)d characters.")
CODE_GROUPS = {
    "granted": _("To grant"),
    "refused": _("To refuse"),
    "lapsed": _("Without a final word"),
}
MAX_DAYS = 365  # of a snooze or a due date
CAUSES = {
    "staff": _("I would like a reviewer to look at it"),
    "applicant": _("The applicant asks for it"),
}


def _clean(text: str | None) -> str:
    """Keep what was written, but for control characters and lone surrogates.

    PostgreSQL stores neither. Spaces of every kind stay, and what joins letters of some scripts.
    """
    lines = re.sub("\r\n?", "\n", text or "")
    return "".join(c for c in lines if c in "\n\t" or _is_text(c)).strip()


def _is_text(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cs", "Cn")


class OpenForm(FlaskForm):  # type: ignore[misc]
    """Sends a decision for review, with the applicant's statement or a note."""

    cause = RadioField(
        _("Why"), choices=[SelectChoice(*c) for c in CAUSES.items()], default="staff"
    )
    text = TextAreaField(
        _("A note for the reviewer, or the applicant’s own statement"),
        filters=[_clean],
        validators=[Length(max=MAX_NOTE_LENGTH, message=TOO_LONG)],
    )

    def read(self) -> Cause | None:
        """Return the cause, or None after each error was added to its field."""
        if not self.validate_on_submit():
            return None
        if self.cause.data == "applicant" and not self.text.data:
            self.text.errors = [_("Enter the applicant’s statement.")]
            return None
        cause: Cause = self.cause.data
        return cause


class NoteForm(FlaskForm):  # type: ignore[misc]
    """Adds a note, or what the applicant has said."""

    text = TextAreaField(
        _("Note"),
        filters=[_clean],
        validators=[
            DataRequired(message=_("Enter a note.")),
            Length(max=MAX_NOTE_LENGTH, message=TOO_LONG),
        ],
    )
    statement = BooleanField(_("This is the applicant’s own statement"))

    @property
    def kind(self) -> NoteKind:
        return "statement" if self.statement.data else "note"


class DayForm(FlaskForm):  # type: ignore[misc]
    """A day: until which a review is snoozed, or on which it is due."""

    day = DateField(
        _("Day"),
        validators=[InputRequired(message=_("Enter a date."))],
    )

    def read(self, *, first: date) -> date | None:
        """Return the day, or None after the error was added to its field."""
        if not self.validate_on_submit():
            self.day.errors = [_("Enter a date.")]
            return None
        chosen: date | None = self.day.data
        if chosen is None or not first <= chosen <= first + timedelta(days=MAX_DAYS):
            self.day.errors = [_("Enter a day in the next 365 days.")]
            return None
        return chosen


def _number(text: object) -> int:
    """Return a number that was chosen; 0 if none was."""
    return int(str(text)) if str(text).isdecimal() else 0


class AssignForm(FlaskForm):  # type: ignore[misc]
    """Gives a review to another reviewer."""

    to = SelectField(_("Reviewer"), coerce=_number, validate_choice=False)


class CloseForm(FlaskForm):  # type: ignore[misc]
    """The final word, with its reason."""

    closing = RadioField(_("Final word"), validate_choice=False)
    code = SelectField(_("Reason"), validate_choice=False)
    note = TextAreaField(
        _("Note"),
        filters=[_clean],
        validators=[Length(max=MAX_NOTE_LENGTH, message=TOO_LONG)],
    )

    def offer(self, decision: ReviewedDecision) -> None:
        """Set the choices of the final word, and the reasons for each."""
        self.closing.choices = list(closings_of(decision).items())
        self.code.choices = {
            str(CODE_GROUPS[closing]): _codes(codes)
            for closing, codes in codes_of(decision).items()
        }

    def read(self, decision: ReviewedDecision) -> NewClosing | None:
        """Return how to close the review, or None after each error was added to its field.

        A choice that is not offered any more is returned: closing says why it is refused.
        """
        valid = self.validate_on_submit()
        closing, code, note = self.closing.data, self.code.data, self.note.data
        if closing not in CLOSINGS:
            self.closing.errors = [_("Choose one of the answers.")]
            return None
        if code not in CODES[closing]:
            self.code.errors = [_("Choose a reason for this final word.")]
            return None
        overturns = closing not in ("lapsed", decision.word)
        if not note and (overturns or code == EXPLAINED):
            self.note.errors = [_("Say why in a note.")]
            return None
        return NewClosing(closing, code, note or "") if valid else None


def _codes(texts: Mapping[str, Text]) -> list[tuple[str, str]]:
    return [(code, words(text)) for code, text in texts.items()]


def assign_form(people: Iterable[Person], **more: Any) -> AssignForm:  # noqa: ANN401
    form = AssignForm(prefix="assign", **more)
    form.to.choices = [(0, _("Choose…")), *((person.id, person.name) for person in people)]
    return form
