"""The forms of accounts, people and API keys."""

from typing import Any

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import BooleanField, Field, HiddenField, PasswordField, StringField, ValidationError
from wtforms.validators import InputRequired, Length

from webapp.people.access import ROLES
from webapp.people.passwords import MIN_DIFFERENT, MIN_PASSWORD, Fault
from webapp.people.tables import MAX_FULL_NAME, MAX_NAME, Role

ROLE_NAMES = {
    "clerk": _("Clerk"),
    "reviewer": _("Reviewer"),
    "analyst": _("Analyst"),
    "admin": _("Administrator"),
}
ROLE_HELP = {
    "clerk": _("enters applications, and sees the decisions on them"),
    "reviewer": _("reviews decisions, and sees all of them"),
    "analyst": _("searches and exports decisions, records outcomes, watches the model"),
    "admin": _(
        "manages people, API keys and the switch of the desk; sees no decisions without another "
        "role"
    ),
}
FAULTS: dict[Fault, Any] = {
    "short": _("A password has at least %(count)s characters.", count=MIN_PASSWORD),
    "long": _("This password is too long."),
    "simple": _("Use at least %(count)s different characters.", count=MIN_DIFFERENT),
    "name": _("The user name is not a password."),
    "same": _("This is the present password."),
}
NEEDED = InputRequired(_("This is needed."))


def _stripped(text: str | None) -> str:
    return (text or "").strip()


def _printable(form: FlaskForm, field: Field) -> None:
    del form
    if not str(field.data).isprintable():
        raise ValidationError(_("Use only characters that can be printed."))


def _with_a_role(form: FlaskForm, field: Field) -> None:
    del field
    if not form.roles:
        raise ValidationError(_("Choose at least one role."))


def _password(label: Any, autocomplete: str) -> PasswordField:  # noqa: ANN401 - a lazy text
    return PasswordField(label, [NEEDED], render_kw={"autocomplete": autocomplete})


def _name(label: Any) -> StringField:  # noqa: ANN401 - a lazy text
    too_long = Length(max=MAX_NAME, message=_("This is too long."))
    return StringField(
        label,
        [NEEDED, too_long, _printable],
        filters=[_stripped],
        render_kw={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"},
    )


class RolesForm(FlaskForm):  # type: ignore[misc]
    """A person's full name and roles."""

    full_name = StringField(
        _("Full name"),
        [Length(max=MAX_FULL_NAME, message=_("This is too long.")), _printable],
        filters=[_stripped],
        render_kw={"autocomplete": "off"},
    )
    clerk = BooleanField(ROLE_NAMES["clerk"])
    reviewer = BooleanField(ROLE_NAMES["reviewer"])
    analyst = BooleanField(ROLE_NAMES["analyst"])
    admin = BooleanField(ROLE_NAMES["admin"], [_with_a_role])

    @property
    def roles(self) -> list[Role]:
        return [role for role in ROLES if self[role].data]

    @property
    def of_roles(self) -> list[Field]:
        """The fields of the roles; a form has no field twice, so each role has its own."""
        return [self[role] for role in ROLES]


class PersonForm(RolesForm):
    """A new person."""

    username = _name(_("User name"))


class KeyForm(FlaskForm):  # type: ignore[misc]
    """A new API key."""

    name = _name(_("Name of the other system"))


class PresentForm(FlaskForm):  # type: ignore[misc]
    """The present password, for what somebody at an open desk must not do."""

    present = _password(_("Present password"), "current-password")


class PasswordForm(PresentForm):
    """A password that somebody chooses."""

    new = _password(_("New password"), "new-password")
    again = _password(_("New password again"), "new-password")

    def validate_again(self, field: Field) -> None:
        if field.data != self.new.data:
            raise ValidationError(_("The two passwords differ."))


class CodeForm(FlaskForm):  # type: ignore[misc]
    """A code of the second factor."""

    code = StringField(
        _("Code"),
        [NEEDED],
        filters=[_stripped],
        render_kw={
            "autocomplete": "one-time-code",
            "autocapitalize": "none",
            "spellcheck": "false",
        },
    )


class EnrolForm(CodeForm, PresentForm):
    """The first code of an app that is being set up, with the secret that the page has shown."""

    sealed = HiddenField()
