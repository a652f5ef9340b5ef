"""The form of a new letter."""

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import HiddenField, RadioField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import Length, Regexp, ValidationError

from webapp.letters.drafting import lines
from webapp.letters.records import Language

LANGUAGES: dict[Language, str] = {"en": "English", "fr": "Français"}
MAX_NUMBER_DIGITS = 9
MAX_RECIPIENT = 300  # characters
MAX_RECIPIENT_LINES = 6


class LetterForm(FlaskForm):  # type: ignore[misc]
    """The language of a letter and to whom it goes; its number shows which ones were there."""

    number = HiddenField(validators=[Regexp(rf"^[0-9]{{1,{MAX_NUMBER_DIGITS}}}$")])
    language = RadioField(
        _("Language of the letter"),
        choices=[SelectChoice(code, name) for code, name in LANGUAGES.items()],
    )
    recipient = TextAreaField(
        _("Name and address (optional)"),
        validators=[
            Length(max=MAX_RECIPIENT, message=_("Enter at most 300 characters.")),
        ],
    )

    def validate_recipient(self, field: TextAreaField) -> None:
        if len(lines((field.data or "").splitlines())) > MAX_RECIPIENT_LINES:
            raise ValidationError(_("Enter at most six lines."))

    def again(self, *, letters: int) -> "LetterForm":
        """Return the form as it was filled in, for the letter after those that there are now."""
        filled = {"language": self.language.data, "recipient": self.recipient.data}
        return LetterForm(formdata=None, data={"number": str(letters + 1), **filled})


def new_form(*, letters: int, language: str) -> LetterForm:
    """Return an empty form for the letter that follows those that there are."""
    return LetterForm(formdata=None, data={"number": str(letters + 1), "language": language})


def language_of(form: LetterForm) -> Language:
    return "fr" if form.language.data == "fr" else "en"
