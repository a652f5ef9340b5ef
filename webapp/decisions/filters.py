"""Which decisions a list shows, and in which order, as the parameters of an address say it."""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from ml.product.formats import parse_integer
from webapp.columns import FIRST_MOMENT, DecisionValue
from webapp.decisions.records import Channel

Sort = Literal[
    "newest",
    "oldest",
    "amount_high",
    "amount_low",
    "probability_high",
    "probability_low",
    "novelty_high",
    "novelty_low",
]
SORTS: tuple[Sort, ...] = get_args(Sort)
SPACES = " \u00a0\u202f"
# How the fields are called in an address.
ADDRESS_NAMES = {"since": "from", "until": "to"}


class InvalidFilter(Exception):
    """Parameters that cannot be used, with what is wrong: `text`, `date`, `number` and so on."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(", ".join(f"{name}: {code}" for name, code in errors.items()))
        self.errors = errors


def _refuse(code: str) -> PydanticCustomError:
    return PydanticCustomError(code, "cannot be used")


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise _refuse("date") from None
    if not FIRST_MOMENT.year < day.year < 9999:
        raise _refuse("date")
    return day


def _integer(text: str) -> int:
    number = parse_integer(text)
    if number is None or number < 0:
        raise _refuse("number")
    return number


def _percentage(text: str) -> float:
    """Return the share that a percentage with or without decimals is."""
    plain = text.removesuffix("%").strip(SPACES).replace(",", ".")
    whole, _, decimals = plain.partition(".")
    if not (whole + decimals).isdecimal() or not plain.isascii() or len(plain) > 20:
        raise _refuse("percentage")
    share = float(plain) / 100
    if share > 1:
        raise _refuse("percentage")
    return share


def _printable(text: str) -> str:
    if not text.isprintable():
        raise _refuse("text")
    return text


def _read(text: Callable[[str], Any]) -> BeforeValidator:
    """Return what reads a text of an address, and keeps a value that is not one."""
    return BeforeValidator(lambda given: text(given) if isinstance(given, str) else given)


Day = Annotated[date, _read(_day)]
Amount = Annotated[int, _read(_integer)]
Share = Annotated[float, _read(_percentage)]
Name = Annotated[str, StringConstraints(max_length=64), _read(_printable)]


class Filter(BaseModel):
    """The decisions to list: each field that is not None leaves others out."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    search: Name | None = None  # a reference or its beginning
    since: Day | None = Field(default=None, alias="from")
    until: Day | None = Field(default=None, alias="to")  # this day is included
    decision: DecisionValue | None = None
    reviewed: Literal["yes", "open", "no"] | None = None
    channel: Channel | None = None
    operator: Name | None = None
    mine: Literal["yes"] | None = None
    model: Name | None = None
    amount_from: Amount | None = None
    amount_to: Amount | None = None
    probability_from: Share | None = None
    probability_to: Share | None = None
    novelty: Literal["usual", "unusual"] | None = None
    sort: Sort = "newest"

    @model_validator(mode="after")
    def _ranges_are_in_order(self) -> Self:
        for low, high in (
            ("since", "until"),
            ("amount_from", "amount_to"),
            ("probability_from", "probability_to"),
        ):
            first, last = getattr(self, low), getattr(self, high)
            if first is not None and last is not None and first > last:
                name = ADDRESS_NAMES.get(high, high)
                raise PydanticCustomError("range", "{name}", {"name": name})
        return self


def given_in(parameters: dict[str, str]) -> dict[str, str]:
    """Return the parameters of a filter that are not empty, without spaces around their values."""
    known = [ADDRESS_NAMES.get(name, name) for name in Filter.model_fields]
    stripped = {name: parameters.get(name, "").strip() for name in known}
    return {name: text for name, text in stripped.items() if text}


def read_filter(parameters: dict[str, str]) -> Filter:
    """Read a filter from the parameters of an address, of which unknown ones do not count.

    Raises InvalidFilter.
    """
    try:
        return Filter.model_validate(given_in(parameters))
    except ValidationError as invalid:
        raise InvalidFilter(dict(map(_located, invalid.errors()))) from None


def _located(error: Any) -> tuple[str, str]:  # noqa: ANN401 - pydantic's
    """Return the parameter that an error is about, and a code of what is wrong."""
    code = error["type"]
    if code == "range":
        return error["ctx"]["name"], code
    known = ("date", "number", "percentage", "text")
    return str(error["loc"][0]), code if code in known else "choice"
