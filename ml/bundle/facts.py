"""The types of the facts about a model that training writes into a bundle's manifest."""

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
# Our own choice: above the shares of the shipped models, and far below the 47 % that were measured
# when a model treated a missing answer like the best one.
MAX_GRANTED_BY_OMISSION = 0.05
REPEATED = "repeated"  # why a row was left out, if not for an empty field


class Fact(BaseModel):
    """A frozen value object; refuses values of another type and unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Spread(Fact):
    """The mean and the standard deviation of a figure over folds."""

    mean: float
    sd: Annotated[float, Field(ge=0)]


class Metrics(Fact, Generic[Measure]):
    """The metrics by which models are compared, one value each.

    Attributes
    ----------
    expected_cost
        The mean cost per application: a bad loan granted costs the cost ratio, a good loan refused
        costs 1.
    pr_auc_refused
        The average precision of refusals in finding bad loans.
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
        The number of rows that were not used, by the field that was empty or under `REPEATED`.
    constant : tuple of str
        The fields from which a model cannot learn: all rows have the same value.
    """

    file: str
    sha256: Sha256
    rows: Annotated[int, Field(ge=1)]
    good: Annotated[int, Field(ge=0)]
    left_out: dict[str, Annotated[int, Field(ge=1)]] = {}
    constant: tuple[Name, ...] = ()


class Effort(Fact):
    """How much work a training does.

    Attributes
    ----------
    repeats : int
        How many times the outer cross-validation is run, each time with different folds.
    inner_folds : int
        The number of folds within a training set for the search for settings.
    thorough : bool
        Whether the fine grids are searched.
    search_rows : int or None
        The largest number of rows of a training set on which settings are searched; None for no
        limit. The model is then fitted on all rows.
    """

    repeats: Annotated[int, Field(ge=1)] = 1
    inner_folds: Annotated[int, Field(ge=2)] = 3
    thorough: bool = False
    search_rows: Annotated[int, Field(ge=1)] | None = None


class Omission(Fact):
    """How many refused rows would be granted if they left out an optional answer.

    Attributes
    ----------
    refused : int
        The number of refused rows that have the answer.
    granted : int
        The number of those rows that would be granted without it.
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
    """An application with the results that every later computation must reproduce.

    Attributes
    ----------
    application : Application
    probability : float
        The champion's probability of being good.
    challengers : dict of str to float
        The probability by each candidate that does not decide.
    shares : dict of str to float or None
        The Shapley value of each player by the champion; None if it was not computed.
    """

    application: Application
    probability: Probability
    challengers: dict[Name, Probability]
    shares: dict[str, float] | None = None


class Recalibration(Fact):
    """How outcomes have corrected the probabilities of a model.

    Attributes
    ----------
    before : str
        The version of the model before.
    shift, slope : float
        The log-odds of its probabilities were multiplied by the slope, and the shift was added.
    file, sha256 : str
        The file of outcomes, and its SHA-256.
    rows, good : int
        The number of outcomes, and of good ones.
    """

    before: str
    shift: float
    slope: Positive
    file: str
    sha256: Sha256
    rows: Annotated[int, Field(ge=1)]
    good: Annotated[int, Field(ge=0)]


class RulesChange(Fact):
    """How the rules and texts of a product were changed without training again.

    Attributes
    ----------
    before : str
        The version of the bundle before.
    policy : str
        The version of the policy rules since.
    changed : tuple of str
        The keys of the product that differ.
    changed_at : datetime
    """

    before: str
    policy: str
    changed: tuple[Name, ...]
    changed_at: Moment


class Facts(Fact):
    """The facts about a model that training writes into the manifest."""

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
    recalibration: Recalibration | None = None
    rules_change: RulesChange | None = None
