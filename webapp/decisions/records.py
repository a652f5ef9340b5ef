"""Stored decisions and trials as immutable records, which refuse invalid values."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.dataclasses import dataclass

from ml.product.application import Application
from ml.product.texts import Text
from webapp.columns import FIRST_MOMENT, LAST_MOMENT, MAX_MEASURE, DecisionValue

STRICT = ConfigDict(strict=True)
Share = Annotated[float, Field(ge=0, le=1)]
Moment = Annotated[datetime, Field(gt=FIRST_MOMENT, lt=LAST_MOMENT)]
Measure = Annotated[float, Field(gt=-MAX_MEASURE, lt=MAX_MEASURE, allow_inf_nan=False)]
Channel = Literal["desk", "api"]


class _Reason(BaseModel):
    """A reason as it is stored with a decision."""

    model_config = ConfigDict(strict=True, extra="forbid")

    field: str
    share: Measure
    principal: bool
    text: Text


def _check(reasons: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for reason in reasons:
        _Reason.model_validate(reason)
    return reasons


StoredReasons = Annotated[list[dict[str, Any]], AfterValidator(_check)]


@dataclass(config=STRICT, frozen=True, slots=True)
class Contents:
    """The inputs of a decision, as entered and normalised, and its reasons; they can be erased."""

    inputs: Application
    normalised: dict[str, Measure | list[int]]
    reasons: StoredReasons | None


@dataclass(config=STRICT, frozen=True, slots=True)
class Decision:
    """A decision as it is stored."""

    id: int
    created_at: Moment
    operator: str  # its name
    channel: Channel
    product: str
    model: str
    probability: Share
    threshold: Share
    model_decision: DecisionValue
    decision: DecisionValue
    amount: Annotated[int, Field(gt=0)]
    novelty: Annotated[float, Field(ge=0)]

    @property
    def granted(self) -> bool:
        return self.decision == "granted"

    @property
    def out_of_range(self) -> bool:
        """Whether the application is unlike the data that the model was trained on."""
        return self.novelty > 1


@dataclass(config=STRICT, frozen=True, slots=True)
class Trial:
    """A trial as it is stored; its inputs are None once they are erased."""

    id: int
    created_at: Moment
    operator: str
    probability: Share
    model_decision: DecisionValue
    inputs: Application | None

    @property
    def granted(self) -> bool:
        return self.model_decision == "granted"
