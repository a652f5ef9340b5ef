"""What an evaluation finds, as types alone: a web worker reads them without scikit-learn."""

from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from ml.bundle.facts import Fact, Metrics, Spread
from ml.product.definition import Fairness
from ml.product.quantities import Direction
from ml.product.texts import Text

Count = Annotated[int, Field(ge=0)]
CURVE_ROWS = 100  # at most, whose other answers are held while one is varied
CURVE_VALUES = 100  # at most, of the field, spread as the training rows are
Finding = Literal["grant_ratio", "equal_opportunity_difference", "calibration"]


class Figures(Metrics[float]):
    """How well probabilities and the decisions that follow from them agree with the truth."""


class Bound(Fact):
    """What it costs a candidate to keep to the directions that the product states.

    Attributes
    ----------
    kept : bool
        Whether it keeps to them, as `ml.training.selection.RULE` says.
    gain : float
        By how much its expected cost is lower without them.
    error : float
        The standard error of that.
    """

    candidate: str
    kept: bool
    gain: float
    error: float


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


class OperatingPoint(NamedTuple):
    """What the threshold in use grants and refuses, as shares.

    Attributes
    ----------
    good_granted, bad_granted : float
        Of the good rows and of the bad ones.
    precision : float or None
        The share of the bad in what is refused; None where nothing is.
    """

    good_granted: float
    bad_granted: float
    precision: float | None


class Evidence(Fact):
    """What speaks for and against a model, from rows that it had not seen."""

    figures: CountedFigures
    calibration: Calibration
    thresholds: tuple[ThresholdRow, ...]
    threshold: float
    cost_ratio: float

    @property
    def used(self) -> ThresholdRow:
        """The row of the threshold that decides."""
        return next(row for row in self.thresholds if row.used)

    @property
    def base_rate(self) -> float:
        """The share of the bad in all rows."""
        return 1 - self.figures.n_good / self.figures.n

    @property
    def operating_point(self) -> OperatingPoint:
        """Where the threshold that decides lies on the curves."""
        used, n, n_good = self.used, self.figures.n, self.figures.n_good
        n_bad, refused = n - n_good, n - used.granted
        return OperatingPoint(
            good_granted=1 - used.good_refused / n_good,
            bad_granted=used.bad_granted / n_bad,
            precision=(n_bad - used.bad_granted) / refused if refused else None,
        )


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


class Curve(Fact):
    """A field's curve beside the direction that the product states.

    Attributes
    ----------
    against : tuple of (int, int)
        Between which values more of the field moves the probability the other way.
    fall : float
        By how much at most it then falls short of the best value before.
    """

    field: str
    label: Text
    stated: Direction
    against: tuple[tuple[int, int], ...]
    fall: float


class Stability(Fact):
    """How often the reasons of a refusal change with the rows that they are compared with.

    Attributes
    ----------
    background_rows : int
    refused : int
        The refused rows explained against each background.
    resamples : int
        Backgrounds, each of training rows drawn anew with replacement.
    first_reason, principal_reasons : float
        The shares in which the weightiest reason, and the set of principal ones, is another.
    """

    background_rows: Count
    refused: Count
    resamples: Count
    first_reason: float
    principal_reasons: float


class Judged(Fact):
    """The accuracy of the decisions on some rows; None if there are no rows."""

    n: Count
    accuracy: Estimate | None


class NoveltyWorth(Fact):
    """Rows marked as far from the training data beside all others."""

    marked: Judged
    others: Judged


class GroupReport(Fact):
    """Decisions on one group of a protected field, beside those on the reference.

    Attributes
    ----------
    predicted : float or None
        The mean probability of being good, to be compared with `good_rate`.
    calibration_p : float or None
        How likely chance alone is to move `good_rate` so far from it, corrected for all groups.
    roc_auc : Estimate or None
        None where the group has too few good or too few bad rows.
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
    predicted: float | None = None
    calibration_p: float | None = None
    roc_auc: Estimate | None = None
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
