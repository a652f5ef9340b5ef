"""The report of the watch: what is known of the model in service, and what to do."""

from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import func, select

from ml.product.definition import Product
from webapp.columns import now
from webapp.decisions.tables import DecisionCount
from webapp.extensions import db
from webapp.metrics_stored import Watched
from webapp.monitoring.days import Model, midnight
from webapp.monitoring.kept import reference_of
from webapp.monitoring.reporting.challengers import Challengers, challengers, evidence
from webapp.monitoring.reporting.checks import Checks, checks
from webapp.monitoring.reporting.drift import Drift, drift, last_day
from webapp.monitoring.reporting.estimates import Estimates, estimates, newest_estimates
from webapp.monitoring.reporting.fairness import Fairness, fairness, grant_ratios
from webapp.monitoring.reporting.outcomes import Outcomes, calibration_of, outcomes, worse_ranking
from webapp.monitoring.reporting.overrides import Overrides, overrides_of
from webapp.monitoring.reporting.reasons import Reasons, reasons
from webapp.monitoring.reporting.verdict import Finding, Step, verdict_of, worst_first
from webapp.monitoring.reporting.volume import Volume, volume
from webapp.serving.served import model


@dataclass(frozen=True)
class Report:
    """What is known of the model in service, since a first day."""

    product: Product
    model: str
    first: date
    decisions: int
    granted: int
    drift: Drift
    outcomes: Outcomes
    estimates: Estimates
    checks: Checks
    challengers: Challengers
    fairness: Fairness
    reasons: Reasons
    overrides: Overrides
    volume: Volume

    @property
    def findings(self) -> list[Finding]:
        """What people should know, the worst first; empty if there is nothing to do."""
        parts = (
            *(self.checks, self.outcomes, self.estimates, self.drift),
            *(self.fairness, self.challengers),
        )
        return worst_first([finding for part in parts for finding in part.findings])

    @property
    def verdict(self) -> Step:
        return verdict_of(self.findings)


def report(*, days: int) -> Report | None:
    """Return the report of a number of days up to today; None for a bundle without a reference."""
    in_service, product = _in_service(), model.bundle.product
    reference = reference_of(in_service.version)
    if reference is None:
        return None
    first = now().date() - timedelta(days=days - 1)
    totals = _decided(in_service, first)
    return Report(
        product=product,
        model=in_service.version,
        first=first,
        decisions=sum(totals.values()),
        granted=totals.get("granted", 0),
        drift=drift(product, in_service, reference, first=first),
        outcomes=outcomes(
            in_service, cost_ratio=model.bundle.manifest.cost_ratio, today=now().date()
        ),
        estimates=estimates(in_service),
        checks=checks(),
        challengers=challengers(in_service),
        fairness=fairness(product, in_service),
        reasons=reasons(product, in_service, first=first, before=first - timedelta(days=days)),
        overrides=overrides_of(in_service, first=first, today=now().date()),
        volume=volume(in_service, now=now()),
    )


def watched() -> Watched | None:
    """Return what the metrics show of the model in service; None if no day was compared."""
    in_service = _in_service()
    last = last_day(in_service)
    if last is None:
        return None
    calibration = calibration_of(in_service)
    return Watched(
        *in_service,
        last,
        calibration.highest if calibration else None,
        worse_ranking(in_service),
        newest_estimates(in_service),
        evidence(in_service),
        grant_ratios(model.bundle.product, in_service),
    )


def _in_service() -> Model:
    return Model(model.bundle.product.name, model.bundle.version)


def _decided(of: Model, first: date) -> dict[str, int]:
    """Return the number of decisions from a day on, by decision."""
    c = DecisionCount
    of_model = (c.product == of.product, c.model == of.version, ~c.correction)
    counts = select(c.decision, func.sum(c.count)).where(*of_model, c.hour >= midnight(first))
    by_decision = counts.group_by(c.decision)
    return {decision: int(count) for decision, count in db.session.execute(by_decision)}
