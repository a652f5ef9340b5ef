"""Stored decisions and trials as immutable records, which refuse invalid values."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, with_config
from pydantic.dataclasses import dataclass
from typing_extensions import TypedDict  # pydantic needs it below Python 3.12

from ml.product.application import Application, Reference
from webapp.columns import (
    FIRST_MOMENT,
    LAST_MOMENT,
    MAX_ID,
    MAX_MEASURE,
    Basis,
    DecisionValue,
    ModelDecision,
)

STRICT = ConfigDict(strict=True)
STRICT_KEYS = ConfigDict(strict=True, extra="forbid")
Share = Annotated[float, Field(ge=0, le=1)]
Moment = Annotated[datetime, Field(gt=FIRST_MOMENT, lt=LAST_MOMENT)]
Measure = Annotated[float, Field(gt=-MAX_MEASURE, lt=MAX_MEASURE, allow_inf_nan=False)]
Channel = Literal["desk", "api", "batch"]


@with_config(STRICT_KEYS)
class Words(TypedDict):
    """A text in each language, as it is stored."""

    en: str
    fr: str


@with_config(STRICT_KEYS)
class StoredReason(TypedDict):
    """A reason as it is stored with a decision."""

    field: str
    share: Measure
    principal: bool
    text: Words


StoredReasons = list[StoredReason]


@with_config(STRICT_KEYS)
class StoredCause(TypedDict):
    """Why a decision is not the model's: a policy rule, or what asked for a person."""

    cause: Literal["rule", "tries", "unusual", "near_threshold", "switch"]
    name: str  # of the rule; empty for another cause
    then: Literal["refuse", "refer"]
    text: Words


StoredCauses = list[StoredCause]


@dataclass(config=STRICT, frozen=True, slots=True)
class Contents:
    """What can be erased of a decision: inputs, as entered and normalised, and why it was made."""

    inputs: Application
    normalised: dict[str, Measure | list[int]]
    reasons: StoredReasons | None  # of the model's refusal
    causes: StoredCauses
    reference: Reference | None


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
    model_decision: ModelDecision
    decision: DecisionValue
    basis: Basis
    policy: str  # the version of the policy rules
    corrects: Annotated[int, Field(gt=0, lt=MAX_ID)] | None  # the decision that it corrects
    amount: Annotated[int, Field(gt=0)]
    novelty: Annotated[float, Field(ge=0)]

    @property
    def granted(self) -> bool:
        return self.decision == "granted"

    @property
    def referred(self) -> bool:
        return self.decision == "referred"

    @property
    def by_policy(self) -> bool:
        """Whether a policy rule refuses it, so that the model's reasons are not its reasons."""
        return self.decision == "refused" and self.basis == "policy"

    @property
    def out_of_range(self) -> bool:
        """Whether the application is unlike the data that the model was trained on."""
        return self.novelty > 1


def causes_of(decision: Decision, contents: Contents) -> StoredCauses:
    """Return why a decision is not the model's: of a policy refusal, the rules that refuse."""
    return [c for c in contents.causes if not decision.by_policy or c["then"] == "refuse"]


@dataclass(config=STRICT, frozen=True, slots=True)
class Trial:
    """A trial as it is stored; its inputs are None once they are erased."""

    id: int
    created_at: Moment
    operator: str
    probability: Share
    model_decision: ModelDecision
    inputs: Application | None

    @property
    def granted(self) -> bool:
        return self.model_decision == "granted"
