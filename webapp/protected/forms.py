"""The form of the voluntary questions: a field for each protected field of a product."""

from typing import Any

from flask_babel import gettext as _
from flask_wtf import FlaskForm
from wtforms import RadioField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs

from ml.product.application import Rules
from ml.product.definition import Field, Product
from ml.product.errors import InvalidApplication
from webapp.language import words


class ProtectedForm(FlaskForm):  # type: ignore[misc]
    """The parts that every form has, without the fields of a product."""

    def read(self, product: Product) -> dict[str, str] | None:
        """Return the values that were given, or None after each error was added to its field."""
        if not self.validate_on_submit():
            return None
        optional = [f.model_copy(update={"optional": True}) for f in product.protected]
        texts = {f.name: str(self[f.name].data or "") for f in optional}
        try:
            values = Rules(product, fields=optional).check_text(texts)
        except InvalidApplication as invalid:
            for error in invalid.errors:
                self[error.field].errors = [words(error.message)]
            return None
        return {name: str(value) for name, value in values.items() if value is not None}


def protected_form(product: Product) -> ProtectedForm:
    fields = {f.name: _form_field(f) for f in product.protected}
    form: ProtectedForm = type("AnswerForm", (ProtectedForm,), fields)()
    return form


def _form_field(field: Field) -> Any:  # noqa: ANN401 - an unbound field of WTForms
    label = words(field.label)
    if field.kind == "integer":
        return StringField(
            label, render_kw={"inputmode": "numeric", "autocomplete": "off", "maxlength": 24}
        )
    answers = [SelectChoice(c.value, words(c.label)) for c in field.choices]
    if field.kind == "flag":
        answers = [SelectChoice("1", _("Yes")), SelectChoice("0", _("No"))]
    answers.append(SelectChoice("", _("Prefer not to say")))
    return RadioField(label, choices=answers, default="", validate_choice=False)
