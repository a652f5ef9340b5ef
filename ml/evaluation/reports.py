"""The types of evaluation results, without scikit-learn, so that a web worker can read them."""

from typing import Annotated, NamedTuple

from pydantic import Field

from ml.bundle.facts import Fact, Metrics, Spread
from ml.product.quantities import Direction
from ml.product.texts import Text

Count = Annotated[int, Field(ge=0)]
# A curve is checked on at most so many training rows, with at most so many quantiles of the field
# in place of the row's own value. Our own choice: 10,000 scores for each field.
CURVE_ROWS = 100
CURVE_VALUES = 100


class Figures(Metrics[float]):
    """The metrics of probabilities and of the decisions that follow from them."""


class Bound(Fact):
    """What it costs a candidate to keep to the directions that the product states.

    Attributes
    ----------
    candidate : str
        The name of the candidate.
    kept : bool
        Whether the candidate keeps to them, by `ml.training.selection.RULE`.
    gain : float
        Its expected cost with the directions, minus that without.
    error : float
        The standard error of this difference.
    """

    candidate: str
    kept: bool
    gain: float
    error: float


class CountedFigures(Figures):
    """Figures, with the number of rows and of good rows that they were computed from."""

    n: Count
    n_good: Count


class Comparison(Fact):
    """Decisions compared with labels.

    Attributes
    ----------
    n : int
        The number of rows.
    expected_cost : float
        The mean cost per row: a bad loan granted costs the cost ratio, a good loan refused costs 1.
    log_loss, accuracy : float
    balanced_accuracy, roc_auc : float or None
        None unless there are both good and bad rows.
    brier : float
        The mean squared difference between the probability and the label.
    recall_refused : float or None
        The share of the bad rows that is refused; None if there are no bad rows.
    grant_rate : float
        The share of all rows that is granted.
    threshold : float
        The lowest probability at which a loan is granted.
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
    """Rows of similar probability.

    Attributes
    ----------
    expected : float
        The mean probability.
    observed, low, high : float
        The share of good rows, and Wilson's interval for it.
    """

    n: Count
    expected: float
    observed: float
    low: float
    high: float


class Calibration(Fact):
    """The calibration of probabilities.

    Attributes
    ----------
    bins : tuple of CalibrationBin
        In ascending order of the probability.
    expected_error : float
        The mean over all rows of the distance between ``expected`` and ``observed`` of their bin.
    """

    bins: tuple[CalibrationBin, ...]
    expected_error: float


class ThresholdRow(Fact):
    """The grants and the wrong decisions of a threshold.

    Attributes
    ----------
    bad_rate : float or None
        The share of bad loans among those granted; None if nothing is granted.
    cost, cost_per_1000 : float
        The cost of all wrong decisions, and that per 1,000 rows. The unit is the cost of refusing
        one good loan.
    used : bool
        Whether this is the threshold in use.
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
    """The grants and refusals of the threshold in use, as shares.

    Attributes
    ----------
    good_granted, bad_granted : float
        The share of the good rows, and of the bad rows, that is granted.
    precision : float or None
        The share of bad rows among those refused; None if nothing is refused.
    """

    good_granted: float
    bad_granted: float
    precision: float | None


class Evidence(Fact):
    """The performance of a model on rows that it was not fitted on."""

    figures: CountedFigures
    calibration: Calibration
    thresholds: tuple[ThresholdRow, ...]
    threshold: float
    cost_ratio: float

    @property
    def used(self) -> ThresholdRow:
        """The row of the threshold in use."""
        return next(row for row in self.thresholds if row.used)

    @property
    def base_rate(self) -> float:
        """The share of bad rows."""
        return 1 - self.figures.n_good / self.figures.n

    @property
    def operating_point(self) -> OperatingPoint:
        """The point of the threshold in use on the ROC and precision-recall curves."""
        used, n, n_good = self.used, self.figures.n, self.figures.n_good
        n_bad, refused = n - n_good, n - used.granted
        return OperatingPoint(
            good_granted=1 - used.good_refused / n_good,
            bad_granted=used.bad_granted / n_bad,
            precision=(n_bad - used.bad_granted) / refused if refused else None,
        )


class Importance(Spread):
    """The loss of ROC-AUC on held-out rows when the values of a field are shuffled."""

    field: str
    label: Text


class Estimate(Fact):
    """A rate, or a difference of two rates, with its 95 % confidence interval."""

    value: float
    low: float
    high: float


class Curve(Fact):
    """Whether the probability follows the direction that the product states for a field.

    Attributes
    ----------
    stated : {"up", "down"}
        Whether a larger value may only raise or only lower the probability.
    against : tuple of (int, int)
        The intervals of values in which a larger value moves the probability the other way.
    fall : float
        The largest distance by which a probability is on the wrong side of that of an earlier
        value; 0 if `against` is empty.
    """

    field: str
    label: Text
    stated: Direction
    against: tuple[tuple[int, int], ...]
    fall: float


class Stability(Fact):
    """How often the reasons of a refusal change if the background changes.

    Attributes
    ----------
    background_rows : int
        The number of rows of the model's background.
    refused : int
        The number of refused rows that are explained against each background.
    resamples : int
        The number of backgrounds, each chosen from training rows resampled with replacement.
    first_reason, principal_reasons : float
        The share of explanations in which the first reason changes, and in which the set of
        principal reasons changes.
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
    """The decisions on the rows marked as unusual, and on all other rows."""

    marked: Judged
    others: Judged
