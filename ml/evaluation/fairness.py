"""Compares decisions between the groups of each protected field."""

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from ml.evaluation.fairness_reports import (
    AttributeReport,
    FairnessReport,
    Finding,
    GroupReport,
    Ratio,
)
from ml.evaluation.groups import area, holm, miscalibration
from ml.evaluation.intervals import CONFIDENCE_LEVEL, difference, ratio, wilson
from ml.evaluation.protected import groups_of
from ml.evaluation.reports import Estimate
from ml.product.definition import Field, Product
from ml.product.texts import Text
from ml.product.tolerances import Fairness


class _Group(NamedTuple):
    name: str
    label: Text
    member: np.ndarray  # of bool and of shape (n_samples,): whether a row belongs to the group


class _Answers(NamedTuple):
    """The label, the probability and the decision of each row."""

    good: np.ndarray
    probability: np.ndarray
    granted: np.ndarray

    def of(self, group: _Group) -> "_Answers":
        return _Answers(*(answer[group.member] for answer in self))


class _Rates(NamedTuple):
    n: int
    granted: int
    good_rate: Estimate
    predicted: float
    calibration_p: float
    roc_auc: Estimate | None
    grant_rate: Estimate
    opportunity: Estimate | None
    false_refusals: Estimate | None


class _Compared(NamedTuple):
    verdict: Literal["reference", "within", "outside", "not_assessable"]
    findings: tuple[Finding, ...] = ()
    grant_ratio: Ratio | None = None
    difference: Estimate | None = None


def assess(
    product: Product,
    protected: pd.DataFrame,
    *,
    good: np.ndarray,
    granted: np.ndarray,
    probability: np.ndarray,
    limits: Fairness | None = None,
) -> FairnessReport:
    """Compare decisions between the groups of every protected field.

    Parameters
    ----------
    product : Product
    protected : DataFrame of shape (n_samples, n_attributes)
        A column for each protected field, with NaN for a missing value. Protected fields without a
        column are skipped.
    good : ndarray of shape (n_samples,)
        1 for good, 0 for bad.
    granted : ndarray of shape (n_samples,)
        The decisions: true if granted.
    probability : ndarray of shape (n_samples,)
        The probabilities of being good.
    limits : Fairness, optional
        Default: the limits of the product.

    Returns
    -------
    FairnessReport

    Notes
    -----
    The reference is the assessable group with the most rows, because its rates are known most
    precisely. The group with the highest rate may be small and have that rate by chance. A ratio
    can therefore be above 1, and the limit applies to it and to its inverse.

    A group is miscalibrated if its share of good rows differs significantly from its mean
    probability, at the 5 % level after Holm's correction (1979, "A simple sequentially rejective
    multiple test procedure") for all groups of all protected fields. The reference can be
    miscalibrated too.

    A group with fewer rows than ``smallest_group`` is ``not_assessable``. Any other group is
    ``outside`` if it exceeds a limit or is miscalibrated, ``within`` if every limit could be
    checked, and otherwise ``not_assessable`` too. Equal opportunity cannot be checked if the group
    or the reference has fewer than ``smallest_group`` good rows. The ratio cannot be checked if
    neither has any grants. The verdict depends on the values, not on the intervals, which show
    how precisely the values are known.

    Rates have Wilson's interval (1927, "Probable inference, the law of succession, and statistical
    inference"), ratios Katz's on the logarithm (Katz, Baptista, Azen and Pike 1978, "Obtaining
    confidence intervals for the risk ratio in cohort studies"), differences Newcombe's hybrid score
    (1998, "Interval estimation for the difference between independent proportions", method 10).
    Equal opportunity is that of Hardt, Price and Srebro (2016, "Equality of opportunity in
    supervised learning").
    """
    limits = limits or product.fairness
    answers = _Answers(
        np.asarray(good).astype(int), np.asarray(probability), np.asarray(granted).astype(int)
    )
    fields = [f for f in product.protected if f.name in protected]
    groups = {f.name: _groups_of(f, protected[f.name]) for f in fields}
    measured = _measure_all(groups, answers, limits.smallest_group)
    attributes = tuple(
        _attribute(f, groups[f.name], answers.good, measured[f.name], limits) for f in fields
    )
    return FairnessReport(rows=len(answers.good), limits=limits, attributes=attributes)


def _groups_of(field: Field, column: pd.Series) -> list[_Group]:
    if field.kind == "choice":
        members = [(column == c.value).to_numpy() for c in field.choices]
        return [_Group(*group, m) for group, m in zip(groups_of(field), members, strict=True)]
    values = pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)
    if field.kind == "flag":
        return [_Group(*g, values == i) for g, i in zip(groups_of(field), (1, 0), strict=True)]
    starts = list(field.bands) or _quartiles(values)
    place = np.where(np.isnan(values), -1, np.digitize(values, starts))
    return [_Group(*g, place == i) for i, g in enumerate(groups_of(field, starts=starts))]


def _quartiles(values: np.ndarray) -> list[int]:
    known = values[~np.isnan(values)]
    cuts = np.quantile(known, (0.25, 0.5, 0.75), method="higher") if known.size else ()
    return sorted({int(cut) for cut in cuts if cut > known.min()})


def _measure_all(
    groups: dict[str, list[_Group]], answers: _Answers, smallest: int
) -> dict[str, dict[str, _Rates]]:
    """Return the rates of every group with enough rows, by field and by group."""
    assessable = {
        (field, group.name): answers.of(group)
        for field, its_groups in groups.items()
        for group in its_groups
        if group.member.sum() >= smallest
    }
    corrected = holm([miscalibration(a.good, a.probability) for a in assessable.values()])
    measured: dict[str, dict[str, _Rates]] = {field: {} for field in groups}
    for ((field, name), own), p_value in zip(assessable.items(), corrected, strict=True):
        measured[field][name] = _measure(own, p_value, smallest)
    return measured


def _attribute(
    field: Field,
    groups: list[_Group],
    good: np.ndarray,
    measured: dict[str, _Rates],
    limits: Fairness,
) -> AttributeReport:
    reference = max(measured, key=lambda name: measured[name].n, default=None)
    base = measured[reference] if reference else None
    return AttributeReport(
        name=field.name,
        label=field.label,
        reference=reference,
        unknown=len(good) - sum(int(g.member.sum()) for g in groups),
        groups=tuple(
            _report(g, int(good[g.member].sum()), measured.get(g.name), base, limits)
            for g in groups
        ),
    )


def _report(
    group: _Group, n_good: int, own: _Rates | None, base: _Rates | None, limits: Fairness
) -> GroupReport:
    n = int(group.member.sum())
    if own is None or base is None:
        return GroupReport(
            name=group.name, label=group.label, n=n, n_good=n_good, verdict="not_assessable"
        )
    compared = _compare(own, base, limits)
    return GroupReport(
        name=group.name,
        label=group.label,
        n=n,
        n_good=n_good,
        good_rate=own.good_rate,
        predicted=own.predicted,
        calibration_p=own.calibration_p,
        roc_auc=own.roc_auc,
        grant_rate=own.grant_rate,
        grant_ratio=compared.grant_ratio,
        equal_opportunity_difference=compared.difference,
        false_refusals=own.false_refusals,
        verdict=compared.verdict,
        findings=compared.findings,
    )


def _measure(own: _Answers, p_value: float, smallest: int) -> _Rates:
    """Return the rates of a group; those that need more good rows are None."""
    n, n_good, n_granted = len(own.good), int(own.good.sum()), int(own.granted.sum())
    good_granted = int((own.good & own.granted).sum())
    few = n_good < smallest
    return _Rates(
        n,
        n_granted,
        good_rate=_rate(n_good, n),
        predicted=float(own.probability.mean()),
        calibration_p=p_value,
        roc_auc=area(own.good, own.probability),
        grant_rate=_rate(n_granted, n),
        opportunity=None if few else _rate(good_granted, n_good),
        false_refusals=None if few else _rate(n_good - good_granted, n_good),
    )


def _compare(own: _Rates, base: _Rates, limits: Fairness) -> _Compared:
    """Return the figures of a group relative to the reference, with the verdict."""
    miscalibrated = own.calibration_p <= 1 - CONFIDENCE_LEVEL
    if own is base:
        return _Compared("reference", ("calibration",) if miscalibrated else ())
    lower, higher = sorted((own.grant_rate.value, base.grant_rate.value))
    gap = None
    if own.opportunity and base.opportunity:
        gap = difference(own.opportunity, base.opportunity)
    # Rounded, because in binary 0.8 - 0.7 is more than 0.1, and 0.72 / 0.9 is less than 0.8.
    outside: dict[Finding, bool | None] = {
        "grant_ratio": round(lower / higher, 9) < limits.grant_ratio if higher else None,
        "equal_opportunity_difference": round(abs(gap.value), 9) > limits.difference
        if gap
        else None,
        "calibration": miscalibrated,
    }
    findings = tuple(name for name, passed in outside.items() if passed)
    checked: Literal["within", "not_assessable"] = (
        "not_assessable" if None in outside.values() else "within"
    )
    return _Compared(
        "outside" if findings else checked,
        findings,
        grant_ratio=ratio(own.granted, own.n, base.granted, base.n) if base.granted else None,
        difference=gap,
    )


def _rate(count: int, total: int) -> Estimate:
    low, high = wilson(count, total=total)
    return Estimate(value=count / total, low=low, high=high)
