"""The application form, built from the product; its rules are the product's own."""

import secrets
from typing import Any

from flask_babel import gettext as _
from flask_wtf import FlaskForm
from wtforms import HiddenField, RadioField, SelectField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs

from ml.application import Application, InvalidApplication, Rules, format_integer
from ml.product import Field, Product
from webapp.language import current, words


class ApplicationForm(FlaskForm):  # type: ignore[misc]
    """What a product's form has beside the product's fields."""

    submission = HiddenField(default=lambda: secrets.token_hex(16))

    def read(self, rules: Rules) -> Application | None:
        """Return the application, or None with each error beside its field."""
        if not self.validate_on_submit():
            return None
        texts = {f.name: str(self[f.name].data or "") for f in rules.product.inputs}
        try:
            return rules.check_text(texts)
        except InvalidApplication as invalid:
            for error in invalid.errors:
                typed = rules.product.by_name[error.field].kind == "integer"
                message = words(error.message) if typed else _("Choose one of the answers.")
                self[error.field].errors = [message]
            return None


def application_form(product: Product) -> ApplicationForm:
    fields = {f.name: _form_field(f) for f in product.inputs}
    form: ApplicationForm = type("ProductForm", (ApplicationForm,), fields)()
    return form


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


def bounds(field: Field) -> str:
    """Say between which numbers an integer field lies."""
    low, high = (format_integer(n or 0, current()) for n in (field.minimum, field.maximum))
    return str(_("%(low)s to %(high)s", low=low, high=high))
