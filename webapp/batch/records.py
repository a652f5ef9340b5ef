"""Batches and files as immutable records."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, Field
from pydantic.dataclasses import dataclass

from ml.product.application import Reference, Rules, Submission
from ml.product.texts import Text
from webapp.columns import DecisionValue, now
from webapp.decisions.records import STRICT, Moment, Share, StoredCauses, StoredReasons

# A thread that has not been heard of for so long has ended with its process. It writes how far it
# is after each part, and the slowest part is one refusal of the slowest champion.
SILENCE = timedelta(seconds=60)
State = Literal["ready", "running", "interrupted"]
Count = Annotated[int, Field(ge=0)]


class Row(NamedTuple):
    """An application of a file, with its line."""

    line: int
    submission: Submission


class Applications(BaseModel):
    """The applications of a file as they are kept until they are decided."""

    fields: list[str]
    rows: list[tuple[int, str | None, list[int | str | None]]]  # line, reference, values

    @staticmethod
    def of(rows: Sequence[Row]) -> "Applications":
        fields = list(rows[0].submission.application)
        kept = [(line, s.reference, [s.application[name] for name in fields]) for line, s in rows]
        return Applications(fields=fields, rows=kept)

    def read(self, rules: Rules) -> list[Row]:
        """Return the rows; raises InvalidApplication if these rules are not those of the file."""
        return [
            Row(
                line,
                Submission(rules.check(dict(zip(self.fields, values, strict=True))), reference),
            )
            for line, reference, values in self.rows
        ]


@dataclass(config=STRICT, frozen=True, slots=True)
class Checked:
    """A file that waits to be decided, or is being decided."""

    id: int
    created_at: Moment
    name: str
    rows: Count
    run: str | None
    seen_at: datetime | None
    decided: Count

    @property
    def state(self) -> State:
        if self.run is None:
            return "ready"
        alive = self.seen_at is not None and now() - self.seen_at < SILENCE
        return "running" if alive else "interrupted"


@dataclass(config=STRICT, frozen=True, slots=True)
class Batch:
    """A file whose applications were decided."""

    id: int
    created_at: Moment
    operator: str  # its name
    product: str
    model: str
    rows: Count
    granted: Count
    refused: Count
    referred: Count
    name: str | None  # of the file, until it is erased


@dataclass(config=STRICT, frozen=True, slots=True)
class Decided:
    """The decision on a line of a file and the final word on it, with what is not erased."""

    id: int
    decision: DecisionValue
    final: DecisionValue  # referred, if there is none yet
    probability: Share
    reference: Reference | None
    reasons: StoredReasons | None
    causes: StoredCauses | None

    @property
    def texts(self) -> list[Text]:
        """Why it was refused or referred; of a refusal, only what led to it."""
        if self.decision == "granted":
            return []
        if self.decision == "refused" and self.reasons is not None:
            return [Text(**r["text"]) for r in self.reasons if r["principal"]]
        causes = self.causes or []
        if self.decision == "refused":
            causes = [cause for cause in causes if cause["then"] == "refuse"]
        return [Text(**cause["text"]) for cause in causes]


class Line(NamedTuple):
    """A line of a batch's file, by which its decision is found."""

    batch_id: int
    line: int
