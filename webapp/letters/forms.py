"""The form of a new letter."""

from unicodedata import category

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import HiddenField, RadioField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs
from wtforms.validators import Length, Regexp, ValidationError

from webapp.letters.drafting import lines
from webapp.letters.records import Kind, Language

LANGUAGES: dict[Language, str] = {"en": "English", "fr": "Français"}
MAX_NUMBER_DIGITS = 9
MAX_RECIPIENT = 300  # characters
MAX_RECIPIENT_LINES = 6


def _printable(text: str | None) -> str:
    """Leave out characters that HTML does not allow, or that change the direction of others."""
    return "".join(c for c in text or "" if category(c)[0] != "C" or c in "\r\n\t")


class LetterForm(FlaskForm):  # type: ignore[misc]
    """The language of a letter and to whom it goes; what is hidden shows what the page showed."""

    kind = HiddenField(id="letter-kind")  # of the letter, as the page showed it
    number = HiddenField(
        id="letter-number", validators=[Regexp(rf"^[0-9]{{1,{MAX_NUMBER_DIGITS}}}$")]
    )
    language = RadioField(
        _("Language of the letter"),
        id="letter-language",
        choices=[SelectChoice(code, name) for code, name in LANGUAGES.items()],
    )
    recipient = TextAreaField(
        _("Name and address (optional)"),
        id="letter-recipient",
        filters=[_printable],
        validators=[Length(max=MAX_RECIPIENT, message=_("Enter at most 300 characters."))],
    )

    def validate_recipient(self, field: TextAreaField) -> None:
        if len(lines((field.data or "").splitlines())) > MAX_RECIPIENT_LINES:
            raise ValidationError(_("Enter at most six lines."))


def new_form(*, kind: Kind | None, letters: int, language: str, recipient: str = "") -> LetterForm:
    """Return a form for a letter of a kind that follows those that there are."""
    hidden = {"kind": kind or "", "number": str(letters + 1)}
    return LetterForm(formdata=None, data={**hidden, "language": language, "recipient": recipient})


def language_of(form: LetterForm) -> Language:
    return "fr" if form.language.data == "fr" else "en"
