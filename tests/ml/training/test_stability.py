"""Tests of ml/training/stability.py."""

import numpy as np
import pandas as pd

from ml.explaining.reasons import Explainer
from ml.training.dataset import as_applications
from ml.training.reference import BACKGROUND_ROWS, background
from ml.training.stability import REFUSED, RESAMPLES, stability


def measure(bundle, fields, *, kind="linear"):
    return stability(
        bundle.product, bundle.scorer, fields, kind=kind, threshold=bundle.threshold, seed=0
    )


def test_stability_counts_reasons_that_another_background_changes(bundle, origin):
    fields = origin.rows.fields
    found = measure(bundle, fields)
    assert (found.background_rows, found.resamples) == (BACKGROUND_ROWS["linear"], RESAMPLES)
    refused = int((bundle.scorer.score_many(fields) < bundle.threshold).sum())
    assert found.refused == min(refused, REFUSED["linear"]) > 100
    assert 0 < found.first_reason < found.principal_reasons < 0.5
    assert measure(bundle, fields) == found


def test_stability_is_the_share_of_explanations_whose_first_reason_or_set_of_reasons_changes(
    bundle, origin, monkeypatch
):
    """The order of the reasons after the first does not matter."""
    monkeypatch.setitem(REFUSED, "linear", 30)
    fields = origin.rows.fields
    probability = bundle.scorer.score_many(fields)
    rng = np.random.default_rng(0)
    places = rng.permutation(np.flatnonzero(probability < bundle.threshold))[:30]
    refused = as_applications(fields.iloc[np.sort(places)])
    told = []
    for drawn in (None, *([len(fields)] * RESAMPLES)):
        kept = np.arange(len(fields)) if drawn is None else np.sort(rng.integers(0, drawn, drawn))
        rows = background(
            fields.iloc[kept],
            probability[kept],
            threshold=bundle.threshold,
            count=BACKGROUND_ROWS["linear"],
        )
        explainer = Explainer(bundle.product, bundle.scorer, rows)
        reasons = [explainer.explain(a, granted=False).reasons for a in refused]
        told.append([[r.field for r in every if r.principal] for every in reasons])
    pairs = [pair for others in told[1:] for pair in zip(told[0], others, strict=True)]
    found = measure(bundle, fields)
    assert found.first_reason == np.mean([one[0] != other[0] for one, other in pairs])
    assert found.principal_reasons == np.mean([{*one} != {*other} for one, other in pairs])
    assert found.principal_reasons < np.mean([one != other for one, other in pairs])


def test_stability_of_reasons_is_worse_with_fifty_background_rows(bundle, origin, monkeypatch):
    found = measure(bundle, origin.rows.fields)
    monkeypatch.setitem(BACKGROUND_ROWS, "linear", 50)
    fewer = measure(bundle, origin.rows.fields)
    assert found.principal_reasons < 0.2 < fewer.principal_reasons


def test_stability_with_but_one_background_there_is(bundle, origin):
    """All granted rows are equal, so every background gives the same reasons."""
    fields = origin.rows.fields
    probability = bundle.scorer.score_many(fields)
    granted = fields[probability >= bundle.threshold].head(1)
    refused = fields[probability < bundle.threshold].head(5)
    found = measure(bundle, pd.concat([*[granted] * 300, refused], ignore_index=True))
    assert (found.first_reason, found.principal_reasons, found.refused) == (0, 0, 5)
    assert found.background_rows == 1


def test_stability_is_not_measured_without_refusals_or_a_closed_form(bundle, origin):
    fields = origin.rows.fields
    granted = fields[bundle.scorer.score_many(fields) >= bundle.threshold]
    assert measure(bundle, granted) is None
    assert measure(bundle, fields, kind="pipeline") is None
