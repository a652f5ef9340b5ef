"""The types of the fairness report, without scikit-learn, so that a web worker can read them."""

from typing import Literal

from ml.bundle.facts import Fact
from ml.evaluation.reports import Count, Estimate
from ml.product.texts import Text
from ml.product.tolerances import Fairness

Finding = Literal["grant_ratio", "equal_opportunity_difference", "calibration"]


class Ratio(Fact):
    """A ratio of two rates, with its 95 % confidence interval or None for each bound."""

    value: float
    low: float | None
    high: float | None


class GroupReport(Fact):
    """Decisions on one group of a protected field, compared with those on the reference group.

    Attributes
    ----------
    predicted : float or None
        The mean probability of being good, to be compared with `good_rate`.
    calibration_p : float or None
        The p-value of the difference between `good_rate` and `predicted`, corrected for the number
        of groups.
    roc_auc : Estimate or None
        None if the group has too few good or too few bad rows.
    good_rate, grant_rate, equal_opportunity_difference, false_refusals : Estimate or None
    grant_ratio : Ratio or None
        Every figure is None if it is undefined or the group or the reference has too few rows.
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
        The name of the group that the others are compared with; None if no group is assessable.
    unknown : int
        The number of rows without a value.
    """

    name: str
    label: Text
    reference: str | None
    unknown: Count
    groups: tuple[GroupReport, ...]


class FairnessReport(Fact):
    """The decisions on each group of every protected field."""

    rows: Count
    limits: Fairness
    attributes: tuple[AttributeReport, ...]
