"""The application form, built from the product; its rules are the product's own."""

import secrets
from typing import Any

from flask_babel import gettext as _
from flask_wtf import FlaskForm
from wtforms import HiddenField, RadioField, SelectField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs

from ml.product.application import (
    Application,
    FieldError,
    InvalidApplication,
    Rules,
    Value,
)
from ml.product.definition import Field, Product
from ml.product.formats import format_integer
from webapp.language import current, words


class ApplicationForm(FlaskForm):  # type: ignore[misc]
    """What a product's form has beside the product's fields."""

    submission = HiddenField(default=lambda: secrets.token_hex(16))

    def read(self, rules: Rules, *, beside: Application | None = None) -> Application | None:
        """Return the application, or None with each error beside its field.

        Beside the fields of the form, an application may give the others.
        """
        if not self.validate_on_submit():
            return None
        given = {n: "" if v is None else str(v) for n, v in (beside or {}).items()}
        typed_in = {
            f.name: str(self[f.name].data or "") for f in rules.product.inputs if f.name in self
        }
        try:
            return rules.check_text({**given, **typed_in})
        except InvalidApplication as invalid:
            for error in invalid.errors:
                name, message = self._place(error, rules.product)
                if name not in self:
                    raise
                self[name].errors = [message]
            return None

    def _place(self, error: FieldError, product: Product) -> tuple[str, str]:
        """Return the field that an error stands beside, and its words."""
        field = product.by_name[error.field]
        if error.code == "at_most" and error.field not in self:
            # It stays as it is, and what was typed is its limit.
            below = _("Must not be less than “%(other)s”.", other=words(field.label))
            return field.at_most or "", below
        typed = field.kind == "integer"
        return error.field, words(error.message) if typed else _("Choose one of the answers.")


def application_form(product: Product) -> ApplicationForm:
    fields = {f.name: _form_field(f) for f in product.inputs}
    form: ApplicationForm = type("ProductForm", (ApplicationForm,), fields)()
    return form


def trial_form(product: Product, application: Application) -> ApplicationForm | None:
    """Return a form of the fields that the applicant could change; None if there are none."""
    fields = [f for f in product.inputs if f.changeable]
    if not fields:
        return None
    kind = type("TrialForm", (ApplicationForm,), {f.name: _form_field(f) for f in fields})
    form: ApplicationForm = kind(data={f.name: _typed(application.get(f.name)) for f in fields})
    return form


def _typed(value: Value) -> str:
    return format_integer(value, current()) if isinstance(value, int) else value or ""


def _form_field(field: Field) -> Any:  # noqa: ANN401 - an unbound field of WTForms
    label, about = words(field.label), {"aria-describedby": f"{field.name}-help {field.name}-error"}
    if not field.optional:
        about["aria-required"] = "true"
    if field.kind == "flag":
        answers = [SelectChoice("0", _("No")), SelectChoice("1", _("Yes"))]
        if field.optional:
            answers.insert(0, SelectChoice("", _("Not known")))
        return RadioField(label, choices=answers, validate_choice=False)
    if field.kind == "choice":
        empty = _("Not known") if field.optional else _("Choose…")
        given = [SelectChoice(c.value, words(c.label)) for c in field.choices]
        answers = [SelectChoice("", empty), *given]
        return SelectField(label, choices=answers, validate_choice=False, render_kw=about)
    signed = field.minimum is not None and field.minimum < 0
    return StringField(
        label,
        render_kw={
            **about,
            "inputmode": "text" if signed else "numeric",
            "autocomplete": "off",
            "maxlength": 24,
        },
    )
