"""Stored decisions and trials as plain values."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webapp.columns import Word

Stored = list[dict[str, Any]]  # reasons as a decision keeps them


@dataclass(frozen=True, slots=True)
class Contents:
    """What a decision was taken on and why; gone once it is erased."""

    inputs: dict[str, Any]
    normalised: dict[str, Any]
    reasons: Stored | None


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision as it is stored."""

    id: int
    created_at: datetime
    operator: str  # its name
    channel: str
    product: str
    model: str
    probability: float
    threshold: float
    model_decision: Word
    decision: Word
    amount: int
    novelty: float

    @property
    def granted(self) -> bool:
        return self.decision == "granted"

    @property
    def out_of_range(self) -> bool:
        """Whether the application is farther from the training data than nearly all of it."""
        return self.novelty > 1


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial as it is stored; its inputs are None once they are erased."""

    id: int
    created_at: datetime
    operator: str
    probability: float
    model_decision: Word
    inputs: dict[str, Any] | None

    @property
    def granted(self) -> bool:
        return self.model_decision == "granted"
