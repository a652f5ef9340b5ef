"""Queries of one decision, its trials, and counts of all."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, select, true

from ml.product.application import Application
from ml.product.errors import InvalidApplication
from webapp.decisions.damage import Damaged, read, readable
from webapp.decisions.records import Contents, Decision, Trial
from webapp.decisions.tables import (
    DecisionContents,
    DecisionCount,
    DecisionRow,
    TrialContents,
    TrialCount,
    TrialRow,
)
from webapp.extensions import db
from webapp.failures import DecisionDamaged, ModelUnavailable, NotFound
from webapp.ledger.tables import FEW, AuditEntry
from webapp.metrics_stored import DecisionsCounted, TrialsCounted
from webapp.people.access import sees_all
from webapp.people.operators import Operator
from webapp.people.tables import OperatorRow
from webapp.serving.served import model

PAGE = 25

_operators = OperatorRow.__table__
_d, _t, _c, _e = DecisionRow, TrialRow, DecisionContents, AuditEntry
FACTS = (
    _d.id,
    readable(_d.created_at),
    _operators.c.name.label("operator"),
    _d.channel,
    _d.product,
    _d.model,
    _d.probability,
    _d.threshold,
    _d.model_decision,
    _d.decision,
    _d.basis,
    _d.policy,
    _d.corrects,
    _d.amount,
    _d.novelty,
)
CONTENTS = (
    *(readable(_c.inputs), readable(_c.normalised)),
    *(readable(_c.reasons), readable(_c.causes), readable(_c.reference)),
)


def select_decisions(*more: Any) -> Select[Any]:  # noqa: ANN401 - columns of any kind
    """Return a query for the facts of decisions, and for more columns."""
    return select(*FACTS, *more).outerjoin(_operators, _operators.c.id == _d.operator_id)


def find_decision(number: int) -> tuple[Decision, Contents | None]:
    """Return a decision and its contents, which are None once they are erased.

    Raises NotFound, or DecisionDamaged for a decision that the service cannot have written.
    """
    query = select_decisions(*CONTENTS, _c.decision_id).outerjoin(_c, _c.decision_id == _d.id)
    row = db.session.execute(query.where(_d.id == number)).first()
    if row is None:
        raise NotFound(f"there is no decision {number}")
    decision = read(Decision, row)
    contents = None if row.decision_id is None else _contents(row)
    damaged = [part.columns for part in (decision, contents) if isinstance(part, Damaged)]
    if isinstance(decision, Damaged) or isinstance(contents, Damaged):
        raise DecisionDamaged(number, sum(damaged, ()))
    return decision, contents


def require_visible(number: int, *, operator: Operator) -> None:
    """Raise NotFound for a decision that an operator may not see; nothing if he or she sees all."""
    if not sees_all(operator):
        query = select(_d.id).where(_d.id == number, visible_to(operator))
        if db.session.scalar(query) is None:
            raise NotFound(f"there is no decision {number}")


def visible_to(operator: Operator) -> ColumnElement[bool]:
    """Return the SQL condition of the decisions that an operator may see."""
    return true() if sees_all(operator) else _d.operator_id == operator.id


def list_trials(decision: Decision) -> Sequence[Trial | Damaged]:
    """Return the latest trials on a decision, newest first."""
    facts = (_t.id, readable(_t.created_at), _t.probability, _t.model_decision)
    query = (
        select(*facts, _operators.c.name.label("operator"), readable(TrialContents.inputs))
        .outerjoin(_operators, _operators.c.id == _t.operator_id)
        .outerjoin(TrialContents, TrialContents.trial_id == _t.id)
        .where(_t.decision_id == decision.id)
        .order_by(_t.id.desc())
        .limit(PAGE)
    )
    return [_trial(row, decision.model) for row in db.session.execute(query)]


def list_erasures(decision_id: int) -> list[tuple[datetime, str]]:
    """Return when the contents of a decision were erased, and by whom."""
    query = (
        select(_e.created_at, _operators.c.name)
        .join(_operators, _operators.c.id == _e.operator_id)
        .where(_e.event == "contents.erased", _e.subject == f"decision:{decision_id}", FEW)
    )
    return [(moment, name) for moment, name in db.session.execute(query)]


def count_decisions() -> list[DecisionsCounted]:
    """Return the number of decisions of each kind, over all hours."""
    c = DecisionCount
    kind = (
        *(c.product, c.model, c.channel, c.decision, c.model_decision, c.basis, c.correction),
        c.score_bin,
    )
    rows = db.session.execute(select(*kind, func.sum(c.count)).group_by(*kind))
    return [DecisionsCounted(*row[:-1], int(row[-1])) for row in rows]


def count_trials() -> list[TrialsCounted]:
    """Return the number of trials of each kind, over all hours."""
    c = TrialCount
    kind = (c.product, c.model, c.model_decision)
    rows = db.session.execute(select(*kind, func.sum(c.count)).group_by(*kind))
    return [TrialsCounted(*row[:-1], int(row[-1])) for row in rows]


def _contents(row: Row[Any]) -> Contents | Damaged:
    contents = read(Contents, row)
    if isinstance(contents, Damaged):
        return contents
    if not _keeps_rules(contents.inputs, row.model):
        return Damaged(row.id, ("inputs",))
    if not contents.inputs.keys() <= contents.normalised.keys():
        return Damaged(row.id, ("normalised",))
    return contents


def _trial(row: Row[Any], version: str) -> Trial | Damaged:
    trial = read(Trial, row)
    if isinstance(trial, Damaged) or trial.inputs is None or _keeps_rules(trial.inputs, version):
        return trial
    return Damaged(row.id, ("inputs",))


def _keeps_rules(inputs: Application, version: str) -> bool:
    """Return whether the rules of a model accept these inputs; True if the model is missing."""
    try:
        return model.rules_of(version).check(inputs) == inputs
    except InvalidApplication:
        return False
    except ModelUnavailable:
        return True
