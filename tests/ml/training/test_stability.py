"""Tests of ml/training/stability.py."""

import pandas as pd

from ml.training.reference import BACKGROUND_ROWS
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


def test_stability_with_but_one_background_there_is(bundle, origin):
    """All granted rows are equal, so every background gives the same reasons."""
    fields = origin.rows.fields
    probability = bundle.scorer.score_many(fields)
    granted = fields[probability >= bundle.threshold].head(1)
    refused = fields[probability < bundle.threshold].head(5)
    found = measure(bundle, pd.concat([*[granted] * 300, refused], ignore_index=True))
    assert (found.first_reason, found.principal_reasons, found.refused) == (0, 0, 5)


def test_stability_is_not_measured_without_refusals_or_a_closed_form(bundle, origin):
    fields = origin.rows.fields
    granted = fields[bundle.scorer.score_many(fields) >= bundle.threshold]
    assert measure(bundle, granted) is None
    assert measure(bundle, fields, kind="pipeline") is None
