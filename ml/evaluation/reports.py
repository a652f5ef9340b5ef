"""What an evaluation finds, as types alone: a web worker reads them without scikit-learn."""

from typing import Annotated, Literal

from pydantic import Field

from ml.bundle.facts import Fact, Metrics, Spread
from ml.product.definition import Fairness
from ml.product.texts import Text

Count = Annotated[int, Field(ge=0)]
Point = tuple[float, float]
Finding = Literal["grant_ratio", "equal_opportunity_difference"]


class Figures(Metrics[float]):
    """How well probabilities and the decisions that follow from them agree with the truth."""


class CountedFigures(Figures):
    """Figures and the rows that they are of."""

    n: Count
    n_good: Count


class Comparison(Fact):
    """Decisions compared with known answers.

    Attributes
    ----------
    n : int
    expected_cost : float
        Per row: a bad loan granted costs the cost ratio, a good one refused costs 1.
    log_loss, accuracy : float
    balanced_accuracy, roc_auc : float or None
        None where there are not both good and bad rows.
    brier : float
    recall_refused : float or None
        Of the bad rows, the share refused; None where there are none.
    grant_rate : float
    threshold : float
    """

    n: Count
    expected_cost: float
    log_loss: float
    accuracy: float
    balanced_accuracy: float | None
    roc_auc: float | None
    brier: float
    recall_refused: float | None
    grant_rate: float
    threshold: float


class CalibrationBin(Fact):
    """Rows of like probability: the mean predicted, the share found good and its interval."""

    n: Count
    expected: float
    observed: float
    low: float
    high: float


class Calibration(Fact):
    """Bins by rising probability, and the mean distance of predicted from found."""

    bins: tuple[CalibrationBin, ...]
    expected_error: float


class Roc(Fact):
    """The share of the good that is granted over the share of the bad that is."""

    points: tuple[Point, ...]
    at_threshold: Point


class PrecisionRecall(Fact):
    """The share of the refused that is bad over the share of the bad that is refused.

    Attributes
    ----------
    points : tuple of (float, float)
    at_threshold : (float, float) or None
        None where the threshold refuses nobody.
    base_rate : float
        The share of the bad in all rows.
    """

    points: tuple[Point, ...]
    at_threshold: Point | None
    base_rate: float


class ThresholdRow(Fact):
    """What a threshold grants and loses; costs are in good loans lost.

    Attributes
    ----------
    bad_rate : float or None
        The share of bad loans among the granted; None where nothing is granted.
    used : bool
        Whether it is the threshold that decides.
    """

    threshold: float
    grant_rate: float
    granted: Count
    bad_granted: Count
    bad_rate: float | None
    good_refused: Count
    cost: float
    cost_per_1000: float
    used: bool


class Evidence(Fact):
    """What speaks for and against a model, from rows that it had not seen."""

    figures: CountedFigures
    calibration: Calibration
    roc: Roc
    precision_recall: PrecisionRecall
    thresholds: tuple[ThresholdRow, ...]
    threshold: float
    cost_ratio: float


class Importance(Spread):
    """What ROC-AUC loses on held-out rows when a field's values are shuffled."""

    field: str
    label: Text


class Estimate(Fact):
    """A rate, or a difference of two, with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


class Ratio(Fact):
    """A ratio of two rates with the ends of its 95 % interval, None where it has none."""

    value: float
    low: float | None
    high: float | None


class GroupReport(Fact):
    """Decisions on one group of a protected field, beside those on the reference.

    Attributes
    ----------
    good_rate, grant_rate, equal_opportunity_difference, false_refusals : Estimate or None
    grant_ratio : Ratio or None
        None where it cannot be had or rests on too few rows, as are the others.
    verdict : {"reference", "within", "outside", "not_assessable"}
    findings : tuple of str
        The figures that are outside their limits.
    """

    name: str
    label: Text
    n: Count
    n_good: Count
    good_rate: Estimate | None = None
    grant_rate: Estimate | None = None
    grant_ratio: Ratio | None = None
    equal_opportunity_difference: Estimate | None = None
    false_refusals: Estimate | None = None
    verdict: Literal["reference", "within", "outside", "not_assessable"]
    findings: tuple[Finding, ...] = ()


class AttributeReport(Fact):
    """The groups of one protected field.

    Attributes
    ----------
    reference : str or None
        The name of the group that the others are compared with; None where none is assessable.
    unknown : int
        Rows without a value.
    """

    name: str
    label: Text
    reference: str | None
    unknown: Count
    groups: tuple[GroupReport, ...]


class FairnessReport(Fact):
    """What decisions do to each group of every protected field."""

    rows: Count
    limits: Fairness
    attributes: tuple[AttributeReport, ...]
