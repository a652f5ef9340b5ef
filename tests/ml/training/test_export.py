"""Tests of ml/training/export.py."""

import io

import numpy as np
import pytest

from ml.training.export import export_scorer, kind_of


@pytest.mark.parametrize(("name", "kind"), [("svc_linear", "linear"), ("svc_rbf", "rbf")])
def test_export_scorer_holds_the_kind_and_no_pickle(trained, name, kind):
    model = trained.models[name]
    assert kind_of(model) == kind
    with np.load(io.BytesIO(export_scorer(model)), allow_pickle=False) as arrays:
        assert not [n for n in arrays.files if arrays[n].dtype == object]


def test_export_scorer_is_the_same_to_the_byte(trained):
    model = trained.models["svc_linear"]
    assert export_scorer(model) == export_scorer(model)


def test_export_scorer_curves_are_continuous(trained):
    with np.load(io.BytesIO(export_scorer(trained.models["svc_linear"]))) as arrays:
        curves = [name.removeprefix("breaks_") for name in arrays.files if "breaks_" in name]
        assert curves
        for i in curves:
            breaks, pieces = arrays[f"breaks_{i}"], arrays[f"pieces_{i}"]
            assert pieces.shape[1] == len(breaks) - 1
            ends = [np.polyval(p, w) for p, w in zip(pieces.T, np.diff(breaks), strict=True)]
            np.testing.assert_allclose(ends[:-1], pieces[-1, 1:], atol=1e-9)
