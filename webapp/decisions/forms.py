"""The forms of applications and trials, built from a product and checked by its rules."""

import secrets
from collections.abc import Sequence
from typing import Any

from flask_babel import gettext as _
from flask_wtf import FlaskForm
from wtforms import HiddenField, RadioField, SelectField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its stubs

from ml.product.application import Application, Rules, Submission, Value
from ml.product.conditions import Notice
from ml.product.definition import REFERENCE, Field, Product
from ml.product.errors import FieldError, InvalidApplication
from ml.product.formats import format_integer, parse_amount, parse_integer
from webapp.language import current, integer, words


class NumberField(StringField):
    """A number as it is typed, with a note for the person who typed it."""

    note = ""


class TypedForm(FlaskForm):  # type: ignore[misc]
    """The parts that every form has, without the fields of a product."""

    submission = HiddenField(default=lambda: secrets.token_hex(16))

    @property
    def rounded(self) -> list[NumberField]:
        """The fields whose amounts were rounded."""
        return [f for f in self if isinstance(f, NumberField) and f.note]

    def read(self, rules: Rules, *, base: Application | None = None) -> Application | None:
        """Return the application alone; None also if an amount was rounded."""
        submission = self.read_submission(rules, base=base)
        return None if submission is None or self.rounded else submission.application

    def read_submission(
        self, rules: Rules, *, base: Application | None = None
    ) -> Submission | None:
        """Return what was sent, or None after each error was added to its field.

        A rounded amount has a note at its field. Fields that the form lacks have the values of the
        application `base`.
        """
        if not self.validate_on_submit():
            return None
        values = {n: "" if v is None else str(v) for n, v in (base or {}).items()}
        for field in rules.product.inputs:
            if field.name in self:
                self._tidy(field, money=rules.product.is_money(field))
                values[field.name] = str(self[field.name].data or "")
        if REFERENCE in self:
            values[REFERENCE] = str(self[REFERENCE].data or "")
        try:
            submission = rules.check_text_submission(values)
        except InvalidApplication as invalid:
            for error in invalid.errors:
                name, message = self._locate(error, rules.product)
                if name not in self:
                    raise
                self[name].errors = [message]
            return None
        return submission

    def _tidy(self, field: Field, *, money: bool) -> None:
        """Round an amount with cents, and write a number as the language does."""
        entry = self[field.name]
        if field.kind != "integer":
            return
        typed = str(entry.data or "").strip()
        amount = parse_amount(typed) if money else None
        number = amount.whole if amount else parse_integer(typed)
        if number is not None:
            entry.data = integer(number)
        if amount and amount.rounded:
            entry.note = _(
                "%(typed)s was rounded to %(used)s: only whole amounts are used.",
                typed=typed,
                used=integer(amount.whole),
            )

    def _locate(self, error: FieldError, product: Product) -> tuple[str, str]:
        """Return the name of the field that shows an error, and the message."""
        if error.field == REFERENCE:
            return REFERENCE, words(error.message)
        field = product.by_name[error.field]
        if error.code == "at_most" and error.field not in self:
            # The form lacks this field, so the error belongs to the typed value that limits it.
            message = _("Must not be less than “%(other)s”.", other=words(field.label))
            return field.at_most or "", message
        if field.kind == "integer":
            return error.field, words(error.message)
        return error.field, _("Choose one of the answers.")


class ApplicationForm(TypedForm):
    """The form of an application, without the fields of a product."""

    corrects = HiddenField()  # the number of the decision that it corrects
    noted = HiddenField()  # the names of the warnings that it has shown
    warnings: Sequence[Notice] = ()

    def has_news(self, submission: Submission, product: Product) -> bool:
        """Return whether there is something to see before it is decided; it is noted on the form.

        Amounts that were rounded are, and warnings that the form has not shown before.
        """
        holding = [w for w in product.warnings if w.holds(submission.application)]
        noted = str(self.noted.data or "").split()
        self.noted.data = " ".join(w.name for w in holding)
        new = any(w.name not in noted for w in holding)
        self.warnings = holding if new or self.rounded else ()
        return new or bool(self.rounded)


def application_form(product: Product, *, empty: bool = False) -> ApplicationForm:
    """Return the form of an application, with what was sent unless it is to be empty."""
    fields = {f.name: _form_field(f, product) for f in product.inputs}
    fields[REFERENCE] = StringField(_("Reference"), render_kw={"maxlength": 64})
    kind = type("ProductForm", (ApplicationForm,), fields)
    form: ApplicationForm = kind(formdata=None) if empty else kind()
    return form


def trial_form(product: Product, application: Application) -> TypedForm | None:
    """Return a form of the fields that the applicant can change; None if there are none."""
    fields = [f for f in product.inputs if f.changeable]
    if not fields:
        return None
    kind = type("TrialForm", (TypedForm,), {f.name: _form_field(f, product) for f in fields})
    form: TypedForm = kind(data={f.name: typed(application.get(f.name)) for f in fields})
    return form


def typed(value: Value) -> str:
    """Return a value as it stands in a form."""
    return format_integer(value, current()) if isinstance(value, int) else value or ""


def _form_field(field: Field, product: Product) -> Any:  # noqa: ANN401 - an unbound field of WTForms
    label = words(field.label)
    attributes = {} if field.optional else {"aria-required": "true"}
    if field.kind == "flag":
        answers = [SelectChoice("0", _("No")), SelectChoice("1", _("Yes"))]
        if field.optional:
            answers.insert(0, SelectChoice("", _("Not known")))
        return RadioField(label, choices=answers, validate_choice=False)
    if field.kind == "choice":
        empty = _("Not known") if field.optional else _("Choose…")
        choices = [SelectChoice(c.value, words(c.label)) for c in field.choices]
        answers = [SelectChoice("", empty), *choices]
        return SelectField(label, choices=answers, validate_choice=False, render_kw=attributes)
    signed = field.minimum is not None and field.minimum < 0
    return NumberField(
        label,
        render_kw={
            **attributes,
            "inputmode": "text" if signed else "decimal" if product.is_money(field) else "numeric",
            "autocomplete": "off",
            "maxlength": 24,
            "data-number": True,
        },
    )
