"""Tests of ml/bundle/facts.py."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from ml.bundle.facts import CandidateRow, Effort, Facts, Metrics, Spread, TrainingData
from ml.product.texts import Text


def test_facts_are_the_same_after_they_were_written(bundle):
    facts = Facts(**{name: getattr(bundle.manifest, name) for name in Facts.model_fields})
    written = json.dumps(facts.model_dump(mode="json"), sort_keys=True, allow_nan=False)
    assert Facts.model_validate_json(written) == facts


def test_settings_keep_their_kind(bundle):
    chosen = {
        "classify__C": 1,
        "knots": 5.0,
        "weights": "uniform",
        "shrinking": True,
        "depth": None,
    }
    settings = bundle.manifest.settings | {"svc_rbf": chosen}
    facts = bundle.manifest.model_copy(update={"settings": settings})
    written = facts.model_dump(mode="json")["settings"]["svc_rbf"]
    again = type(facts).model_validate_json(json.dumps(facts.model_dump(mode="json")))
    for settings_read in (written, again.settings["svc_rbf"]):
        assert {name: (type(v), v) for name, v in settings_read.items()} == {
            name: (type(v), v) for name, v in chosen.items()
        }


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=2))])
def test_trained_at_is_written_to_the_second_with_its_zone(bundle, zone):
    moment = datetime(2026, 3, 4, 5, 6, 7, 890, tzinfo=zone)
    written = bundle.manifest.model_copy(update={"trained_at": moment}).model_dump(mode="json")
    offset = "+00:00" if zone is UTC else "+02:00"
    assert written["trained_at"] == f"2026-03-04T05:06:07{offset}"


SPREAD = Spread(mean=0.5, sd=0.1)
WITHOUT_BRIER = [name for name in Metrics.model_fields if name != "brier"]
LABEL = Text(en="SVC", fr="SVC")
SPREADS = dict.fromkeys(WITHOUT_BRIER, SPREAD)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Spread(mean=0.5, sd=-0.1),
        lambda: Spread(mean=float("nan"), sd=0.0),
        lambda: Spread(mean="0.5", sd=0.0),
        lambda: Effort(repeats=0),
        lambda: Effort(inner_folds=1),
        lambda: Effort(repeats=1.0),
        lambda: Effort(quick=True),
        lambda: TrainingData(file="loans.csv", sha256="A" * 64, rows=1, good=1),
        lambda: CandidateRow(name="svc_rbf", label=LABEL, **SPREADS),
        lambda: CandidateRow(name="../svc", label=LABEL, **SPREADS, brier=SPREAD),
    ],
)
def test_facts_of_a_wrong_kind_are_refused(build):
    with pytest.raises(ValidationError):
        build()


def test_candidate_row_of_the_right_kind():
    row = CandidateRow(name="svc_rbf", label=LABEL, **SPREADS, brier=SPREAD)
    assert row.brier.mean == 0.5
