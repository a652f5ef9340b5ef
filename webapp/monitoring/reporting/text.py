"""The report of the watch as text and as JSON."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date

from ml.bundle.facts import Fact
from ml.monitoring.sequential import LOG_ALARM
from ml.product.texts import Text
from webapp.monitoring.reporting.checks import Checks
from webapp.monitoring.reporting.drift import Drift, FieldReport
from webapp.monitoring.reporting.estimates import Estimates, FigureReport
from webapp.monitoring.reporting.outcomes import WORSE, Outcomes
from webapp.monitoring.reporting.overrides import overrides_line
from webapp.monitoring.reporting.report import Report
from webapp.monitoring.reporting.text_parts import (
    challenger_lines,
    fairness_lines,
    reason_lines,
    volume_line,
)
from webapp.monitoring.reporting.verdict import NEXT, VERDICTS


def json_of(found: Report) -> str:
    shown = {
        **{k: v for k, v in asdict(found).items() if k not in ("product", "overrides")},
        "product": found.product.name,
        "overrides": found.overrides.summary(),
        "verdict": found.verdict,
        "findings": [finding._asdict() for finding in found.findings],
    }
    return json.dumps(shown, indent=1, default=_plain)


def text_of(found: Report) -> str:
    drift = found.drift
    lines = [
        f"{found.product.name}, {found.model}, since {found.first}",
        f"{found.decisions:,} decisions, {_share(found.granted, found.decisions)} granted, "
        f"{_share(drift.unusual, drift.watched)} unlike the training data "
        f"(training rows: {drift.unusual_in_training:.1%})",
        volume_line(found.volume),
        f"last day compared: {drift.last or 'none yet'}",
        "",
        *_drift_lines(drift),
        "",
        *_estimate_lines(found.estimates),
        *_outcome_lines(found.outcomes),
        *challenger_lines(found.challengers),
        *fairness_lines(found.fairness),
        *reason_lines(found.reasons),
        "",
        overrides_line(found.overrides),
        "",
        *_store_lines(found.checks),
        f"{VERDICTS[found.verdict].en}. {NEXT[found.verdict].en}",
        *(f"- {finding.text.en}" for finding in found.findings),
    ]
    return "\n".join(lines)


def _plain(value: object) -> object:
    if isinstance(value, Fact):
        return value.model_dump()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Text):
        return value.en
    raise TypeError(type(value).__name__)


def _drift_lines(drift: Drift) -> Iterator[str]:
    yield f"{'':24}{'missing':>9}{'training':>10}{'unusual':>9}{'day':>8}{'week':>8}{'chance':>8}"
    yield from map(_line, (drift.score, *drift.fields))
    if drift.evidence is not None and drift.highest is not None:
        yield ""
        yield (
            f"evidence for a change of the score: {drift.evidence:.1f}, at most "
            f"{drift.highest:.1f} in this quarter and the last; alarm from {LOG_ALARM:.1f}"
        )


def _estimate_lines(estimates: Estimates) -> Iterator[str]:
    if not estimates.months:
        return
    yield (
        f"{'decided in':12}{'decisions':>9}{'expected bad, of granted':>28}{'training':>10}"
        f"{'right decisions':>23}{'training':>10}"
    )
    for m in estimates.months:
        line = f"{m.month:%Y-%m}     {m.decisions:9,}"
        if not m.figures:
            yield f"{line}  no estimate: too few granted loans with their applications"
        elif not m.trustworthy:
            yield f"{line}  no reliable estimate: too few training rows are like the applications"
        else:
            bad, right = m.figures["bad_share"], m.figures["accuracy"]
            yield (
                f"{line}{_interval(bad):>28}{bad.in_training:10.1%}"
                f"{_interval(right):>23}{right.in_training:10.1%}"
            )
    yield ""


def _interval(figure: FigureReport) -> str:
    return f"{figure.value:.1%} ({figure.low:.1%} to {figure.high:.1%})"


def _outcome_lines(outcomes: Outcomes) -> Iterator[str]:
    if not outcomes.months:
        yield "outcomes are compared once an hour" if outcomes.recorded else "no outcomes are known"
        return
    yield (
        f"{'granted in':12}{'loans':>9}{'known':>9}{'bad':>8}{'expected':>10}"
        f"{'cost':>8}{'Brier':>8}{'AUC':>8}{'slope':>8}"
    )
    for m in outcomes.months:
        r = m.realised
        bad, expected = r.outcomes - r.good, r.outcomes - r.expected
        area, slope = ("–" if v is None else f"{v:.3f}" for v in (r.roc_auc, r.slope))
        yield (
            f"{m.month:%Y-%m}     {m.granted:9,}{r.outcomes:9,}{bad / r.outcomes:8.1%}"
            f"{expected / r.outcomes:10.1%}"
            f"{m.cost:8.3f}{r.brier:8.3f}{area:>8}{slope:>8}"
        )
    if outcomes.calibration:
        c = outcomes.calibration
        yield ""
        yield (
            f"evidence against the probabilities: {c.evidence:.1f}, at most {c.highest:.1f}, from "
            f"{c.outcomes:,} loans granted in the quarter from {c.period}"
        )
    if outcomes.ranking:
        q = outcomes.ranking
        yield (
            f"ROC-AUC of the quarter from {q.period}: {q.roc_auc:.3f}, of the training rows: "
            f"{q.roc_auc_in_training:.3f}, {q.worse:.1f} standard errors worse; "
            f"too much from {WORSE:g}"
        )


def _store_lines(found: Checks) -> Iterator[str]:
    if found.miscounted:
        yield f"hours with other decisions than were counted: {found.miscounted:,}"
    if found.audited and not found.audited.well:
        yield str(found.audited)
    if found.findings:
        yield ""


def _line(f: FieldReport) -> str:
    if f.missing is None:
        shares = f"{'':28}"
    else:
        shares = f"{f.missing:9.1%}{f.missing_in_training:10.1%}{f.unusual or 0:9.1%}"
    day, week = (f"{s.index:8.3f}" if s else f"{'–':>8}" for s in (f.day, f.week))
    bound = f"{f.week.bound:8.3f}" if f.week else f"{'–':>8}"
    return f"{f.name or 'score':24}{shares}{day}{week}{bound}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "–"
