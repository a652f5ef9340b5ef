"""What a training states of a model: the parts of a bundle's manifest, as types."""

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints

from ml.product.application import Application
from ml.product.quantities import Name
from ml.product.texts import Text

Measure = TypeVar("Measure")
Positive = Annotated[float, Field(gt=0)]
Probability = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Moment = Annotated[
    AwareDatetime,
    PlainSerializer(lambda moment: moment.isoformat(timespec="seconds"), when_used="json"),
]
ScorerKind = Literal["linear", "rbf", "pipeline"]
Setting = bool | int | float | str | None
Settings = dict[str, Setting]
# One in twenty, our own choice: above what the shipped models show, and far below the 47 % of an
# answer whose absence a model once took for the best one.
MAX_GRANTED_BY_OMISSION = 0.05
REPEATED = "repeated"  # a reason to leave a row out, beside fields that are empty


class Fact(BaseModel):
    """A frozen value object that refuses a wrong kind of value and an unknown key."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Spread(Fact):
    """A mean over folds and the standard deviation."""

    mean: float
    sd: Annotated[float, Field(ge=0)]


class Metrics(Fact, Generic[Measure]):
    """One value for each metric that compares models.

    Attributes
    ----------
    expected_cost
        Per application: a bad loan granted costs the cost ratio, a good one refused costs 1.
    """

    expected_cost: Measure
    log_loss: Measure
    accuracy: Measure
    balanced_accuracy: Measure
    roc_auc: Measure
    pr_auc_refused: Measure
    brier: Measure


class CandidateRow(Metrics[Spread]):
    """A candidate's metrics over the outer folds."""

    name: Name
    label: Text


class TrainingData(Fact):
    """The rows that a model was trained on.

    Attributes
    ----------
    left_out : dict of str to int
        How many rows of the file were not used: by the field that is empty, and under `REPEATED`.
    """

    file: str
    sha256: Sha256
    rows: Annotated[int, Field(ge=1)]
    good: Annotated[int, Field(ge=0)]
    left_out: dict[str, Annotated[int, Field(ge=1)]] = {}


class Effort(Fact):
    """How much work a training does.

    Attributes
    ----------
    repeats : int
        How often the outer cross-validation is repeated with other folds.
    inner_folds : int
        Folds of the search for settings within a training fold.
    thorough : bool
        Whether the fine grids are searched.
    search_rows : int or None
        Settings are chosen on at most so many rows of a training fold, the model is then fitted on
        all; None for no limit.
    """

    repeats: Annotated[int, Field(ge=1)] = 1
    inner_folds: Annotated[int, Field(ge=2)] = 3
    thorough: bool = False
    search_rows: Annotated[int, Field(ge=1)] | None = None


class Omission(Fact):
    """What leaving an optional answer empty does to the rows that the model refuses.

    Attributes
    ----------
    refused : int
        The refused rows in which it is answered.
    granted : int
        Those of them that would be granted without the answer.
    """

    field: Name
    label: Text
    refused: Annotated[int, Field(ge=0)]
    granted: Annotated[int, Field(ge=0)]

    @property
    def share(self) -> float:
        """The share of the refused rows that would be granted."""
        return self.granted / self.refused if self.refused else 0.0

    @property
    def excessive(self) -> bool:
        """Whether the share is above `MAX_GRANTED_BY_OMISSION`."""
        return self.share > MAX_GRANTED_BY_OMISSION


class KnownAnswer(Fact):
    """An application with the answers that every later computation must give.

    Attributes
    ----------
    application : Application
    probability : float
        Of being good, by the champion.
    challengers : dict of str to float
        The same by each candidate that does not decide.
    shares : dict of str to float or None
        What each player has in the champion's margin; None for an application without known ones.
    """

    application: Application
    probability: Probability
    challengers: dict[Name, Probability]
    shares: dict[str, float] | None = None


class Facts(Fact):
    """What a training states of the model that it has chosen."""

    product: Name
    champion: Name
    scorer: ScorerKind
    rule: Text
    reason: Text
    table: tuple[CandidateRow, ...]
    settings: dict[Name, Settings]
    threshold: Probability
    threshold_from: str
    cost_ratio: Positive
    seed: Annotated[int, Field(ge=0)]
    effort: Effort
    data: TrainingData
    ranges: dict[Name, tuple[int, int]]
    omissions: tuple[Omission, ...]
    known_answers: Annotated[tuple[KnownAnswer, ...], Field(min_length=1)]
    trained_at: Moment
