"""Tests of ml/training/export.py."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ml.bundle.manifest import KNOWN_ANSWER_TOLERANCE
from ml.training.candidates import candidates
from ml.training.dataset import as_applications, read_rows
from ml.training.export import export_scorer, kind_of
from ml.training.train import DEFAULT, SEED, fit
from tests.fixtures.models import FEW_ROWS, scorer_of

FIELD = "monthly_income"
# Values of the field on which several knots of its splines coincide.
COINCIDING = {
    "largest": lambda v: v.clip(upper=v.quantile(0.6, interpolation="lower")),
    "smallest": lambda v: v.clip(lower=v.quantile(0.4, interpolation="higher")),
    "both": lambda v: v.clip(*v.quantile([0.4, 0.6], interpolation="nearest")),
    "two values": lambda v: v.where(v > v.median(), v.min()).where(v <= v.median(), v.max()),
    "constant": lambda v: v * 0 + 1000,
}


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


@pytest.mark.parametrize("case", COINCIDING)
@pytest.mark.parametrize("degree", [2, 3])
@pytest.mark.parametrize("directed", [True, False], ids=["directed", "undirected"])
@pytest.mark.parametrize("name", ["svc_linear", "logistic"])
def test_export_scorer_equals_the_pipeline_where_knots_coincide(
    product, name, directed, degree, case
):
    fields, good = read_rows(product, product.data_file).data
    fields = fields.iloc[:FEW_ROWS]
    fields = fields.assign(**{FIELD: COINCIDING[case](fields[FIELD])})
    candidate = next(c for c in candidates(product, seed=SEED) if c.name == name)
    candidate = candidate if directed else candidate.without_directions()
    grid = {key: values[-1:] for key, values in candidate.grid.items()}
    grid["prepare__number__spline__degree"] = [degree]
    data = fields, good[:FEW_ROWS]
    model, _ = fit(replace(candidate, grid=grid), product, data, effort=DEFAULT, seed=SEED)
    low, high = fields[FIELD].min(), fields[FIELD].max()
    neighbours = [np.nextafter(end, side) for end in (low, high) for side in (-np.inf, np.inf)]
    values = [1, low - 1, low, low + 1, *neighbours, high - 1, high, high + 1, 10 * high]
    applications = [
        application | {FIELD: float(value)}
        for application in as_applications(fields.iloc[:10])
        for value in values
    ]
    frame = pd.DataFrame(applications)
    expected = model.predict_proba(frame)[:, 1]
    scorer = scorer_of(model)
    one_by_one = [scorer.score(application).probability for application in applications]
    for scored in (scorer.score_many(frame), one_by_one):
        np.testing.assert_allclose(scored, expected, rtol=0, atol=KNOWN_ANSWER_TOLERANCE)
