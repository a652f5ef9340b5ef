"""Applications: the values of a product's fields, validated by one set of rules."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field as Bounded,
    ValidationError,
    ValidationInfo,
    create_model,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from ml.product.definition import REFERENCE, Choice, Field, Product
from ml.product.errors import (
    MESSAGES,
    FieldError,
    InvalidApplication,
    MalformedApplication,
    sent_twice,
    shown_name,
)
from ml.product.formats import format_integer, parse_integer
from ml.product.texts import LANGUAGES, Text

Value = int | str | None
Application = dict[str, Value]

# Neither a quotation mark nor a backslash, so that it needs no escapes in JSON; no colon.
REFERENCE_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9 ._/#-]{0,62}[A-Za-z0-9])?$"
Reference = Annotated[str, Bounded(pattern=REFERENCE_PATTERN, strict=True)]


class Submission(NamedTuple):
    """An application that another system sends, with the bank's own reference of it, if any."""

    application: Application
    reference: str | None = None


def as_columns(applications: Sequence[Application]) -> dict[str, list[Value]]:
    """Return applications as columns.

    Parameters
    ----------
    applications : sequence of Application
        At least one.

    Returns
    -------
    dict of str to list
    """
    return {name: [a[name] for a in applications] for name in applications[0]}


class Rules:
    """The rules that applications for one product must satisfy.

    Parameters
    ----------
    product : Product
    fields : sequence of Field, optional
        The fields of an application. Default: the unprotected fields of the product.
    """

    def __init__(self, product: Product, *, fields: Sequence[Field] | None = None) -> None:
        self.product = product
        self.fields = product.inputs if fields is None else tuple(fields)
        self._by_name = {f.name: f for f in self.fields}
        # pydantic validates fields in order, and a limit must be valid before it is compared with.
        limited_last = sorted(self.fields, key=lambda f: f.at_most is not None)
        definitions: dict[str, Any] = {f.name: _definition(f) for f in limited_last}
        self.model: type[BaseModel] = create_model(
            product.name, __config__=ConfigDict(extra="forbid", strict=True), **definitions
        )
        reference: dict[str, Any] = {REFERENCE: (Reference | None, None)}
        self._submission: type[BaseModel] = create_model(
            product.name, __base__=self.model, **reference
        )

    def check(self, values: Mapping[str, object]) -> Application:
        """Validate the values of an application.

        Parameters
        ----------
        values : mapping of str to object
            The values by field name. An optional field that is absent counts as None.

        Returns
        -------
        Application
            The same values in the product's order.

        Raises
        ------
        InvalidApplication
            With one error for every field that is wrong.
        """
        try:
            return self._in_order(self.model.model_validate(dict(values)))
        except ValidationError as error:
            raise self._invalid(error) from None

    def check_json(self, body: bytes) -> Application:
        """Validate an application in JSON.

        Parameters
        ----------
        body : bytes
            A JSON object in UTF-8.

        Returns
        -------
        Application

        Raises
        ------
        MalformedApplication
            The body is not a JSON object.
        InvalidApplication
            With one error for every field that is wrong.
        """
        return self._in_order(self._read_json(self.model, body))

    def check_submission(self, body: bytes) -> Submission:
        """Validate an application in JSON that can have a reference beside its fields.

        Parameters
        ----------
        body : bytes
            A JSON object in UTF-8.

        Returns
        -------
        Submission

        Raises
        ------
        MalformedApplication
            The body is not a JSON object.
        InvalidApplication
            With one error for every field that is wrong; the reference counts as one.
        """
        model = self._read_json(self._submission, body)
        return Submission(self._in_order(model), vars(model)[REFERENCE])

    def check_text(self, texts: Mapping[str, str]) -> Application:
        """Validate an application whose values are texts, from a form or a CSV row.

        Parameters
        ----------
        texts : mapping of str to str
            The texts by field name. An empty text is a missing value.

        Returns
        -------
        Application

        Raises
        ------
        InvalidApplication
            With one error for every field that is wrong.
        """
        return self.check({name: self._read(name, text) for name, text in texts.items()})

    def check_text_submission(self, texts: Mapping[str, str]) -> Submission:
        """Validate texts, among which there can be a reference beside the fields.

        Parameters
        ----------
        texts : mapping of str to str
            The texts by field name. An empty text is a missing value.

        Returns
        -------
        Submission

        Raises
        ------
        InvalidApplication
            With one error for every field that is wrong; the reference counts as one.
        """
        values = {name: self._read(name, text) for name, text in texts.items()}
        try:
            model = self._submission.model_validate(values)
        except ValidationError as error:
            raise self._invalid(error) from None
        return Submission(self._in_order(model), vars(model)[REFERENCE])

    def _read(self, name: str, text: str) -> object:
        field = self._by_name.get(name)
        if not text.strip():
            return None
        if field is None or field.kind == "choice":
            return text.strip()
        number = parse_integer(text)
        return text if number is None else number

    def _read_json(self, kind: type[BaseModel], body: bytes) -> BaseModel:
        try:
            model = kind.model_validate_json(body)
        except ValidationError as error:
            if any(not e["loc"] for e in error.errors(include_input=False)):
                raise MalformedApplication("The body is not a JSON object.") from None
            raise self._invalid(error) from None
        # A colon follows each name, and neither a field's name nor a valid value holds one. So if
        # there are as many colons as fields, no name is repeated.
        if body.count(b":") != len(model.model_fields_set):
            self._refuse_repeated(body)
        return model

    def _refuse_repeated(self, body: bytes) -> None:
        """Refuse an object with several values for one name, of which pydantic takes the last."""
        repeated = sent_twice(body, (*self._by_name, REFERENCE))
        if repeated:
            errors = [FieldError(name, "repeated", MESSAGES["repeated"]) for name in repeated]
            raise InvalidApplication(errors)

    def _in_order(self, model: BaseModel) -> Application:
        values = vars(model)
        return {name: values[name] for name in self._by_name}

    def _invalid(self, error: ValidationError) -> InvalidApplication:
        # pydantic gives no location for a name that is not valid Unicode (a lone surrogate).
        details = {str(e["loc"][0]) if e["loc"] else "": e for e in error.errors(include_url=False)}
        order = {f.name: i for i, f in enumerate(self.fields)}
        names = sorted(details, key=lambda name: (order.get(name, len(order)), name))
        return InvalidApplication([self._explain(name, details[name]) for name in names])

    def _explain(self, name: str, detail: ErrorDetails) -> FieldError:
        field = self._by_name.get(name)
        if name == REFERENCE and detail["type"] != "extra_forbidden":
            return FieldError(name, "reference", MESSAGES["reference"])
        if field is None:
            return FieldError(shown_name(name), "unknown", MESSAGES["unknown"])
        code = _code(field, detail)
        message = {
            language: getattr(MESSAGES[code], language).format(**self._details(field, language))
            for language in LANGUAGES
        }
        return FieldError(name, code, Text(**message))

    def _details(self, field: Field, language: str) -> dict[str, str]:
        other = self._by_name.get(field.at_most or "")
        return {
            "minimum": "" if field.minimum is None else format_integer(field.minimum, language),
            "maximum": "" if field.maximum is None else format_integer(field.maximum, language),
            "other": other.label.in_language(language) if other else "",
            "choices": ", ".join(_named(c, language) for c in field.choices),
        }


def _named(choice: Choice, language: str) -> str:
    """Return the label of a choice, and its value, which is what must be sent, if it differs."""
    label = choice.label.in_language(language)
    return label if label == choice.value else f"{label} ({choice.value})"


def _code(field: Field, detail: ErrorDetails) -> str:
    if detail["type"] == "missing" or (detail["input"] is None and not field.optional):
        return "required"
    if detail["type"] == "at_most":
        return "at_most"
    if field.kind == "integer" and detail["type"] in ("greater_than_equal", "less_than_equal"):
        return "range"
    return field.kind


def _definition(field: Field) -> tuple[Any, Any]:
    kind: Any
    if field.kind == "choice":
        kind = Literal[tuple(c.value for c in field.choices)]
    elif field.kind == "flag":
        kind = Annotated[int, Bounded(ge=0, le=1)]
    else:
        kind = Annotated[int, Bounded(ge=field.minimum, le=field.maximum)]
    if field.at_most:
        kind = Annotated[kind, AfterValidator(_limited_by(field.at_most))]
    if field.optional:
        return (kind | None, None)
    return (kind, ...)


def _limited_by(other: str) -> Any:  # noqa: ANN401 - pydantic takes a callable of its own kind
    def limited(value: int | None, info: ValidationInfo) -> int | None:
        limit = info.data.get(other)
        if value is not None and limit is not None and value > limit:
            raise PydanticCustomError("at_most", "more than another field")
        return value

    return limited
