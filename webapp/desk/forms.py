"""The form of the desk's switch."""

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import TextAreaField
from wtforms.validators import DataRequired, Length

from webapp.desk.tables import MAX_REASON


def _one_line(text: str | None) -> str:
    """Return a text in one line, without the invisible characters that pasted texts may have."""
    line = " ".join((text or "").split())
    return "".join(c for c in line if c.isprintable())


class SwitchForm(FlaskForm):  # type: ignore[misc]
    """Why the desk is switched."""

    reason = TextAreaField(
        _("Reason"),
        filters=[_one_line],
        validators=[
            DataRequired(_("State the reason.")),
            Length(max=MAX_REASON, message=_("Use at most %(max)d characters.")),
        ],
    )
