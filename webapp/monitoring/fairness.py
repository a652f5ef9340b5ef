"""Counts the decisions and outcomes of protected groups by month, and keeps only large groups.

A month, because few groups of a day are large enough. Months have no decision in common, so one
cannot be subtracted from another. For the same reason, figures of a month that are kept are
replaced only if a whole minimum group of people has come or gone.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, delete, func, insert, select

from ml.bundle.manifest import InvalidBundle
from ml.evaluation.protected import group_of, has_groups
from ml.monitoring.disclosure import large_enough
from ml.product.definition import Product
from webapp.decisions.tables import DecisionRow
from webapp.extensions import db
from webapp.monitoring.days import Model, midnight
from webapp.monitoring.fairness_tables import FairnessGroup, FairnessMonth
from webapp.monitoring.realised import days_with_outcomes, end_of_month
from webapp.monitoring.tables import WatchedHour
from webapp.outcomes.tables import OutcomeCount, OutcomeRow, that_counts
from webapp.protected.service import ANSWER_WITHIN
from webapp.protected.tables import ProtectedAttribute
from webapp.serving.served import model as served

# A month is counted when no answer can come any more; one that comes at the last moment is on disk
# within the hour.
ANSWERED = ANSWER_WITHIN + timedelta(hours=1)

Key = tuple[str, str]  # of a field and a group

_g, _m, _o = FairnessGroup, FairnessMonth, OutcomeRow


class Sizes(NamedTuple):
    """The people in a group, and what came of them; no outcomes if too few are known."""

    decisions: int
    granted: int
    outcomes: int | None = None
    bad: int | None = None


NOBODY = Sizes(0, 0)


class Changed(NamedTuple):
    """A closed month of a model to count again.

    Outcomes up to `last` are counted: none, if some loans of the month are too young to have one.
    """

    model: Model
    month: date
    decisions: int
    last: int


class Counted(NamedTuple):
    """The rows of the tables `fairness_months` and `fairness_groups` of a month."""

    changed: Changed
    groups: list[dict[str, Any]]


def uncounted_months(*, before: datetime, ripe: date) -> list[Changed]:
    """Return the closed months that have other decisions or outcomes than when they were counted.

    A month is closed a day after its end, because applicants can answer for a day.
    The outcomes of a month are counted when all of its loans are ripe, that is, were decided
    before a day: bad ones are often known earlier than good ones. Only the months of models that
    are kept are among them, because only their hours are counted.
    """
    w = WatchedHour
    first = (before - ANSWERED).date().replace(day=1)
    decisions: Counter[tuple[Model, date]] = Counter()
    for hour, *of, count in db.session.execute(
        select(w.hour, w.product, w.model, w.decisions).where(w.hour < midnight(first))
    ):
        decisions[Model(*of), hour.date().replace(day=1)] += count
    last = db.session.scalar(select(func.max(_o.id))) or 0
    counted = db.session.scalar(select(func.max(_m.last_outcome))) or 0
    days = days_with_outcomes(after=counted, last=last, before=ripe)
    new = {(of, day.replace(day=1)) for of, day in days}
    rows = db.session.execute(select(_m.product, _m.model, _m.month, _m.decisions, _m.last_outcome))
    known = {(Model(*row[:2]), row.month): (row.decisions, row.last_outcome) for row in rows}
    found = []
    for key, count in sorted(decisions.items()):
        up_to = last if end_of_month(key[1]) <= ripe else 0
        before_count, before_outcome = known.get(key, (0, 0))
        if before_count != count or (up_to and (not before_outcome or key in new)):
            found.append(Changed(*key, count, up_to))
    return found


def count_month(changed: Changed) -> Counted | None:
    """Count the groups of a month; None if the model has been removed since its hours were."""
    try:
        product = served.find(changed.model.version).product
    except InvalidBundle:
        return None
    smallest = product.fairness.smallest_group
    found = _sizes(product, changed)
    outcomes = _known_outcomes(changed)
    groups: list[dict[str, Any]] = []
    for name, own in found.items():
        limits = {"total": changed.decisions, "outcomes": outcomes, "smallest": smallest}
        kept = kept_groups(own, **limits)
        kept = replaced(_stored(changed, name), kept, found=own, **limits)
        key = {"month": changed.month, "product": product.name, "model": changed.model.version}
        for group, sizes in kept.items():
            row = {**key, "field": name, "group_name": group, "smallest": smallest}
            groups.append({**row, **sizes._asdict()})
    return Counted(changed, groups)


def store_months(transaction: Connection, counted: Sequence[Counted]) -> None:
    """Replace the figures of months."""
    for changed, groups in counted:
        (product, version), month = changed.model, changed.month
        for table in (_g, _m):
            of_month = (table.product == product, table.model == version, table.month == month)
            transaction.execute(delete(table).where(*of_month))
        if groups:
            transaction.execute(insert(_g), groups)
        key = {"month": month, "product": product, "model": version}
        row = {**key, "decisions": changed.decisions, "last_outcome": changed.last}
        transaction.execute(insert(_m), [row])


def kept_groups(
    found: Mapping[str, Sizes], *, total: int, outcomes: int, smallest: int
) -> dict[str, Sizes]:
    """Return the figures that may be kept of the groups of a field.

    `total` and `outcomes` are the numbers of all decisions and known outcomes, which many can see.
    """
    sizes = {name: s.decisions for name, s in found.items()}
    large = large_enough(sizes, total=total, smallest=smallest)
    known = {name: found[name].outcomes or 0 for name in large}
    told = large_enough(known, total=outcomes, smallest=smallest)
    return {n: found[n] if n in told else Sizes(*found[n][:2]) for n in sorted(large)}


def replaced(
    before: Mapping[str, Sizes],
    kept: Mapping[str, Sizes],
    *,
    found: Mapping[str, Sizes],
    total: int,
    outcomes: int,
    smallest: int,
) -> dict[str, Sizes]:
    """Return the figures to keep of a field after a month was counted again.

    The difference of two figures of one group tells about those by whom they differ: about one
    person after one erasure, or one late outcome. So it is nobody or a whole minimum group.
    `found` are the figures of all groups, and `kept` those that a first count would keep. If old
    and new figures together leave a few people over, all old ones stay.
    """
    result = {}
    for name in sorted({*before, *kept}):
        old, new = before.get(name, NOBODY), kept.get(name, NOBODY)
        now = found.get(name, NOBODY)
        people = new if abs(now.decisions - old.decisions) >= smallest else old
        if not people.decisions:
            continue
        known = new if abs((now.outcomes or 0) - (old.outcomes or 0)) >= smallest else old
        fits = (known.outcomes or 0) <= people.granted  # not if only one of both was replaced
        result[name] = Sizes(*people[:2], *(known[2:] if fits else (None, None)))
    sizes = {name: s.decisions for name, s in result.items()}
    told = {name: s.outcomes for name, s in result.items() if s.outcomes}
    for numbers, everyone in ((sizes, total), (told, outcomes)):
        if large_enough(numbers, total=everyone, smallest=smallest) != set(numbers):
            return dict(before)
    return result


def _sizes(product: Product, changed: Changed) -> dict[str, dict[str, Sizes]]:
    """Count the people of each group, by field and group."""
    d, p = DecisionRow, ProtectedAttribute
    kind = (p.field, p.value, d.model_decision, _o.outcome)
    query = (
        select(*kind, func.count())
        .join(d, d.id == p.decision_id)
        .outerjoin(
            _o,
            and_(
                _o.decision_id == d.id,
                that_counts(last=changed.last),
                d.model_decision == "granted",
            ),
        )
        .where(d.created_at >= midnight(changed.month))
        .where(d.created_at < midnight(end_of_month(changed.month)))
        .where(d.product == product.name, d.model == changed.model.version, d.corrects.is_(None))
        .group_by(*kind)
    )
    fields = {f.name: f for f in product.protected if has_groups(f)}
    people, granted, outcomes, bad = (Counter[Key]() for _ in Sizes._fields)
    for name, value, decision, outcome, count in db.session.execute(query):
        group = group_of(fields[name], value) if name in fields else None
        if group is None:
            continue
        key = name, group
        people[key] += count
        granted[key] += count * (decision == "granted")
        outcomes[key] += count * (outcome is not None)
        bad[key] += count * (outcome == "bad")
    found: dict[str, dict[str, Sizes]] = {name: {} for name in fields}
    for (name, group), n in people.items():
        key = name, group
        found[name][group] = Sizes(n, granted[key], outcomes[key], bad[key])
    return found


def _known_outcomes(changed: Changed) -> int:
    c = OutcomeCount
    of_month = (c.product == changed.model.product, c.model == changed.model.version)
    granted = (c.decided_month == changed.month, c.model_decision == "granted")
    query = select(func.sum(c.count)).where(*of_month, *granted)
    return int(db.session.scalar(query) or 0)


def _stored(changed: Changed, field: str) -> dict[str, Sizes]:
    of_month = (_g.product == changed.model.product, _g.model == changed.model.version)
    query = select(_g.group_name, _g.decisions, _g.granted, _g.outcomes, _g.bad).where(
        *of_month, _g.month == changed.month, _g.field == field
    )
    return {row[0]: Sizes(*row[1:]) for row in db.session.execute(query)}
