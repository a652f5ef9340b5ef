"""The form of the desk's switch."""

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from wtforms import TextAreaField
from wtforms.validators import DataRequired, Length

from webapp.desk.tables import MAX_REASON


class SwitchForm(FlaskForm):  # type: ignore[misc]
    """Why the desk is switched."""

    reason = TextAreaField(
        _l("Reason"),
        filters=[lambda text: " ".join((text or "").split())],
        validators=[
            DataRequired(_l("State the reason.")),
            Length(max=MAX_REASON, message=_l("Use at most %(max)d characters.")),
        ],
    )
