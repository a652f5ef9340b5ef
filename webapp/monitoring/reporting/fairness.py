"""The part of the report on fairness: the grant rate of protected groups, in closed months."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from sqlalchemy import select

from ml.evaluation.fairness_reports import Ratio
from ml.evaluation.intervals import ratio, wilson
from ml.evaluation.protected import Group, groups_of, has_groups
from ml.product.definition import Field, Product
from ml.product.texts import Text
from webapp.columns import now
from webapp.extensions import db
from webapp.metrics_compared import GrantRatio
from webapp.monitoring.days import Model
from webapp.monitoring.fairness import Sizes
from webapp.monitoring.fairness_tables import FairnessGroup, FairnessMonth
from webapp.monitoring.reporting.verdict import Finding, finding, listed

Verdict = Literal["reference", "within", "outside", "not_assessable"]
Months = dict[date, Sizes]  # of a group: those in which it was large enough


@dataclass(frozen=True)
class GroupReport:
    """A group of a protected field: of the months in which it was large enough.

    `granted` and `decisions` are 0 in a group that is not assessable. `ratio` is its grant rate
    divided by that of the reference in the same months.
    """

    name: str
    label: Text
    decisions: int
    granted: int
    ratio: Ratio | None
    outcomes: int
    bad: int
    verdict: Verdict


@dataclass(frozen=True)
class FieldFairness:
    """The groups of a protected field, and how many applications are in one."""

    name: str
    label: Text
    shown: int  # people in groups that are large enough
    groups: list[GroupReport]


@dataclass(frozen=True)
class Fairness:
    """The grant rates of protected groups; `decisions` is the number of all in these months."""

    first: date | None
    last: date | None  # the first day of the last month
    decisions: int
    limit: float  # of the ratio, and of its inverse
    smallest: int
    fields: list[FieldFairness]

    @property
    def findings(self) -> list[Finding]:
        return [
            finding("unequal", field=f.label.in_language, groups=listed(groups))
            for f in self.fields
            if (groups := [g.label for g in f.groups if _certain(g.ratio, self.limit)])
        ]


def fairness(product: Product, model: Model) -> Fairness:
    """Return the fairness of the last closed months of a model."""
    months = _months(model)
    stored = _stored(model, months)
    limits = product.fairness
    return Fairness(
        first=min(months, default=None),
        last=max(months, default=None),
        decisions=sum(months.values()),
        limit=limits.grant_ratio,
        smallest=limits.smallest_group,
        fields=[
            _field(f, stored[f.name], limits.grant_ratio)
            for f in product.protected
            if has_groups(f) and stored[f.name]
        ],
    )


def grant_ratios(product: Product, model: Model) -> list[GrantRatio]:
    """Return the ratios that the metrics show."""
    return [
        GrantRatio(*model, f.name, g.name, g.ratio.value, g.ratio.low, g.ratio.high)
        for f in fairness(product, model).fields
        for g in f.groups
        if g.ratio
    ]


def _months(model: Model) -> dict[date, int]:
    """Return the number of decisions of each month that has been counted."""
    m, this = FairnessMonth, now().date()
    first = date(this.year - 1, this.month, 1)  # twelve closed months; our own choice
    query = select(m.month, m.decisions).where(
        m.product == model.product, m.model == model.version, m.month >= first
    )
    return {row.month: row.decisions for row in db.session.execute(query)}


def _stored(model: Model, months: Mapping[date, int]) -> defaultdict[str, dict[str, Months]]:
    """Return the kept figures by field, group and month."""
    g = FairnessGroup
    query = select(g.field, g.group_name, g.month, g.decisions, g.granted, g.outcomes, g.bad).where(
        g.product == model.product, g.model == model.version, g.month.in_(months)
    )
    found: defaultdict[str, dict[str, Months]] = defaultdict(dict)
    for row in db.session.execute(query):
        found[row.field].setdefault(row.group_name, {})[row.month] = Sizes(*row[3:])
    return found


def _field(field: Field, stored: Mapping[str, Months], limit: float) -> FieldFairness:
    people = {name: sum(s.decisions for s in months.values()) for name, months in stored.items()}
    reference = max(people, key=lambda name: (people[name], name), default="")
    base = stored.get(reference, {})
    return FieldFairness(
        field.name,
        field.label,
        shown=sum(people.values()),
        groups=[
            _group(group, stored.get(group.name, {}), base, limit, is_base=group.name == reference)
            for group in groups_of(field)
        ],
    )


def _group(group: Group, own: Months, base: Months, limit: float, *, is_base: bool) -> GroupReport:
    same = own.keys() & base.keys()
    compared = None if is_base else _ratio([own[m] for m in same], [base[m] for m in same])
    return GroupReport(
        *group,
        decisions=sum(s.decisions for s in own.values()),
        granted=sum(s.granted for s in own.values()),
        ratio=compared,
        outcomes=sum(s.outcomes or 0 for s in own.values()),
        bad=sum(s.bad or 0 for s in own.values()),
        verdict="reference" if is_base else _verdict(compared, limit),
    )


def _ratio(own: Iterable[Sizes], base: Iterable[Sizes]) -> Ratio | None:
    n, granted = _totals(own)
    base_n, base_granted = _totals(base)
    if not base_granted:
        return None
    if granted:
        return ratio(granted, n, base_granted, base_n)
    # Katz's interval has no upper end then; this one is wider than at 95 %.
    high = wilson(0, total=n)[1] / wilson(base_granted, total=base_n)[0]
    return Ratio(value=0.0, low=0.0, high=high)


def _totals(months: Iterable[Sizes]) -> tuple[int, int]:
    some = list(months)
    return sum(s.decisions for s in some), sum(s.granted for s in some)


def _verdict(compared: Ratio | None, limit: float) -> Verdict:
    if compared is None:
        return "not_assessable"
    value = compared.value
    # Rounded, because in binary 0.72 / 0.9 is less than 0.8.
    return "outside" if round(min(value, 1 / value if value else 0), 9) < limit else "within"


def _certain(compared: Ratio | None, limit: float) -> bool:
    """Return whether the whole interval is beyond the limit."""
    if compared is None or compared.low is None or compared.high is None:
        return False
    return compared.high < limit or compared.low > 1 / limit
