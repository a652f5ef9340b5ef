"""Fairness: what decisions do to each group of a protected field."""

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from fairlearn import metrics
from scipy.stats import binomtest
from scipy.stats.contingency import relative_risk

from ml.product.definition import Fairness, Field, Product
from ml.product.texts import Text

Figure = dict[str, Any]  # value, low, high
FIGURES = {
    "good_rate": Text(en="good, in the data", fr="bons, selon les données"),
    "grant_rate": Text(en="granted", fr="accordés"),
    "grant_ratio": Text(en="grant ratio", fr="rapport des accords"),
    "equal_opportunity_difference": Text(en="equal opportunity", fr="égalité des chances"),
    "false_refusals": Text(en="false refusals", fr="refus à tort"),
}
YES, NO = Text(en="Yes", fr="Oui"), Text(en="No", fr="Non")


class _Group(NamedTuple):
    name: str
    label: Text
    member: np.ndarray  # of shape (n_samples,), whether a row belongs to it


def assess(
    product: Product,
    protected: pd.DataFrame,
    *,
    good: np.ndarray,
    granted: np.ndarray,
    limits: Fairness | None = None,
) -> dict[str, Any]:
    """Compare decisions between the groups of every protected field.

    Parameters
    ----------
    product : Product
    protected : DataFrame of shape (n_samples, n_attributes)
        One column an attribute, NaN where a value is missing.
    good : ndarray of shape (n_samples,)
        1 for good, 0 for bad.
    granted : ndarray of shape (n_samples,)
        Of bool: the decisions.
    limits : Fairness, optional
        By default the product's.

    Returns
    -------
    dict of str to object
        ``rows``, ``limits`` and ``attributes``, each of these with its ``groups``; all of it can
        be written as JSON. A figure is a ``value`` with the ``low`` and ``high`` ends of its 95 %
        interval; it is None where it cannot be had or rests on too few rows.

    Notes
    -----
    The reference is the assessable group with the most rows, so that every comparison is made with
    the rates that are known best, and not with a small group whose rate is the highest by chance.
    A ratio may therefore be above 1, and is outside its limit from either side.

    A group with fewer rows than ``smallest_group`` is ``not_assessable``. Any other is ``outside``
    where it passes a limit, ``within`` only where every limit could be checked, and else
    ``not_assessable`` too. Equal opportunity cannot be checked where the group or the reference has
    fewer than ``smallest_group`` good rows, the ratio not where neither was granted anything. The
    values decide; the intervals say how far chance alone could move them.

    Rates have Wilson's interval (1927, "Probable inference, the law of succession, and statistical
    inference"), ratios Katz's on the logarithm (Katz, Baptista, Azen and Pike 1978, "Obtaining
    confidence intervals for the risk ratio in cohort studies"), differences Newcombe's hybrid score
    (1998, "Interval estimation for the difference between independent proportions", method 10).
    Equal opportunity is that of Hardt, Price and Srebro (2016, "Equality of opportunity in
    supervised learning").
    """
    limits = limits or product.fairness
    answers = np.asarray(good).astype(int), np.asarray(granted).astype(int)
    fields = [f for f in product.protected if f.name in protected]
    found = [_attribute(f, protected[f.name], answers, limits) for f in fields]
    return {"rows": len(answers[0]), "limits": limits.model_dump(), "attributes": found}


def _groups_of(field: Field, column: pd.Series) -> list[_Group]:
    if field.kind == "choice":
        return [_Group(c.value, c.label, (column == c.value).to_numpy()) for c in field.choices]
    values = pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)
    if field.kind == "flag":
        return [_Group("yes", YES, values == 1), _Group("no", NO, values == 0)]
    begin = [field.minimum or 0, *(field.bands or _quartiles(values))]
    end = [*(b - 1 for b in begin[1:]), field.maximum or 0]
    place = np.where(np.isnan(values), -1, np.digitize(values, begin[1:]))
    labels = [_band(field, first, last) for first, last in zip(begin, end, strict=True)]
    return [_Group(t.en.replace(" ", "_"), t, place == i) for i, t in enumerate(labels)]


def _quartiles(values: np.ndarray) -> list[int]:
    known = values[~np.isnan(values)]
    cuts = np.quantile(known, (0.25, 0.5, 0.75), method="higher") if known.size else ()
    return sorted({int(cut) for cut in cuts if cut > known.min()})


def _band(field: Field, first: int, last: int) -> Text:
    if first == last:
        return Text(en=f"{first}", fr=f"{first}")
    if last == field.maximum:
        return Text(en=f"{first} and over", fr=f"{first} et plus")
    if first == field.minimum:
        return Text(en=f"under {last + 1}", fr=f"moins de {last + 1}")
    return Text(en=f"{first} to {last}", fr=f"{first} à {last}")


def _attribute(
    field: Field, column: pd.Series, answers: tuple[np.ndarray, np.ndarray], limits: Fairness
) -> dict[str, Any]:
    groups = _groups_of(field, column)
    sizes = {g.name: int(g.member.sum()) for g in groups}
    assessable = [g for g in groups if sizes[g.name] >= limits.smallest_group]
    reference = max((g.name for g in assessable), key=sizes.__getitem__, default=None)
    measured = _measure(assessable, answers, limits.smallest_group)
    found = []
    for group in groups:
        row: dict[str, Any] = {
            "name": group.name,
            "label": group.label.model_dump(),
            "n": sizes[group.name],
            "n_good": int(answers[0][group.member].sum()),
            **dict.fromkeys(FIGURES),
            "verdict": "not_assessable",
            "findings": [],
        }
        if reference and group.name in measured:
            own, base = measured[group.name], measured[reference]
            row |= {name: own[name] for name in ("grant_rate", "good_rate", "false_refusals")}
            row |= {"verdict": "reference"} if own is base else _compare(own, base, limits)
        found.append(row)
    return {
        "name": field.name,
        "label": field.label.model_dump(),
        "reference": reference,
        "unknown": len(answers[0]) - sum(sizes.values()),
        "groups": found,
    }


def _measure(
    groups: list[_Group], answers: tuple[np.ndarray, np.ndarray], smallest: int
) -> dict[str, dict[str, Any]]:
    """Return each group's rates, with None for those that rest on too few good rows."""
    if not groups:
        return {}
    names = np.select([g.member for g in groups], [g.name for g in groups], default="")
    kept = names != ""
    frame = metrics.MetricFrame(
        metrics={
            "n": metrics.count,
            "good_rate": lambda good, _: metrics.selection_rate(good, good),
            "grant_rate": metrics.selection_rate,
            "opportunity": metrics.true_positive_rate,
            "false_refusals": metrics.false_negative_rate,
        },
        y_true=answers[0][kept],
        y_pred=answers[1][kept],
        sensitive_features=names[kept],
    )
    found = {}
    for name, rates in frame.by_group.to_dict("index").items():
        n = int(rates["n"])
        n_good = round(rates["good_rate"] * n)
        totals = {"good_rate": n, "grant_rate": n, "opportunity": n_good, "false_refusals": n_good}
        figures = {m: _rate(rates[m], t) if t >= smallest else None for m, t in totals.items()}
        found[str(name)] = {"n": n, **figures}
    return found


def _compare(own: dict[str, Any], base: dict[str, Any], limits: Fairness) -> dict[str, Any]:
    """Return a group's figures beside the reference's, and the verdict on them."""
    lower, higher = sorted((own["grant_rate"]["value"], base["grant_rate"]["value"]))
    difference = _difference(own["opportunity"], base["opportunity"])
    # Rounded: in binary 0.8 - 0.7 is more than 0.1, and 0.72 / 0.9 less than 0.8.
    outside = {
        "grant_ratio": round(lower / higher, 9) < limits.grant_ratio if higher else None,
        "equal_opportunity_difference": round(abs(difference["value"]), 9) > limits.difference
        if difference
        else None,
    }
    findings = [name for name, passed in outside.items() if passed]
    checked = "not_assessable" if None in outside.values() else "within"
    return {
        "grant_ratio": _ratio(own, base),
        "equal_opportunity_difference": difference,
        "verdict": "outside" if findings else checked,
        "findings": findings,
    }


def _rate(value: float, total: int) -> Figure:
    interval = binomtest(round(value * total), total).proportion_ci(method="wilson")
    return {"value": float(value), "low": float(interval.low), "high": float(interval.high)}


def _ratio(own: dict[str, Any], base: dict[str, Any]) -> Figure | None:
    rates = own["grant_rate"]["value"], base["grant_rate"]["value"]
    if not rates[1]:
        return None
    granted = [round(rate * side["n"]) for rate, side in zip(rates, (own, base), strict=True)]
    low, high = relative_risk(granted[0], own["n"], granted[1], base["n"]).confidence_interval()
    # Katz's method has no end where the group has no grants, and no width where all have them.
    ends = (float(low), float(high)) if low < high else (None, None)
    return {"value": rates[0] / rates[1], "low": ends[0], "high": ends[1]}


def _difference(own: Figure | None, base: Figure | None) -> Figure | None:
    if own is None or base is None:
        return None
    value = own["value"] - base["value"]
    below = math.hypot(own["value"] - own["low"], base["high"] - base["value"])
    above = math.hypot(own["high"] - own["value"], base["value"] - base["low"])
    return {"value": value, "low": value - below, "high": value + above}
