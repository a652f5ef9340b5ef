"""The part of the report on challengers: whether their probabilities are better."""

from dataclasses import dataclass

from webapp.challenger.evidence import Evidence, latest_evidence
from webapp.metrics_compared import Compared
from webapp.monitoring.days import Model
from webapp.monitoring.reporting.verdict import Finding, finding, same


@dataclass(frozen=True)
class Challengers:
    """The challengers of a model that scored loans with a known outcome."""

    compared: list[Evidence]

    @property
    def findings(self) -> list[Finding]:
        return [
            finding("challenger_better", challenger=same(one.challenger))
            for one in self.compared
            if one.is_better
        ]


def challengers(model: Model) -> Challengers:
    return Challengers([e for e in latest_evidence() if (e.product, e.model) == model])


def evidence(model: Model) -> list[Compared]:
    """Return the evidence that the metrics show."""
    return [Compared(*model, c.challenger, c.better, c.worse) for c in challengers(model).compared]
