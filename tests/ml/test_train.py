"""What ml/train.py promises."""

import dataclasses
import math

import numpy as np
import pytest

from ml.candidates import SVC_KERNELS, candidates, columns_of
from ml.export import export_scorer
from ml.rows import InvalidData, read_rows
from ml.train import (
    DEFAULT,
    FOLDS,
    METRICS,
    SEED,
    THOROUGH,
    choose,
    figures,
    fit,
    threshold_for,
    train,
)


def folds_of(accuracies, *, roc_auc=0.8):
    return [{"accuracy": a, "roc_auc": roc_auc} for a in accuracies]


SPREAD = np.array([-0.02, -0.01, 0.0, 0.01, 0.02])
# Of five folds with that spread: its standard deviation times the root of 1/5 + 1/4.
ERROR = math.sqrt(0.00025) * math.sqrt(0.45)


@pytest.mark.parametrize(
    ("gain", "champion"), [(0.0, "svc_rbf"), (0.98 * ERROR, "svc_rbf"), (1.02 * ERROR, "forest")]
)
def test_choose_another_only_beyond_one_standard_error(gain, champion):
    folds = {
        "svc_rbf": folds_of(0.8 + SPREAD),
        "svc_linear": folds_of([0.7] * 5),
        "logistic": folds_of([0.8] * 5),
        "forest": folds_of(0.8 + gain + SPREAD[::-1]),
    }
    chosen, reason = choose(folds)
    assert chosen == champion
    assert reason.startswith(f"{champion} decides")
    assert f"by {gain:.4f}, standard error {ERROR:.4f}" in reason


def test_choose_the_most_accurate_of_those_beyond():
    folds = {
        "svc_rbf": folds_of([0.80] * 5),
        "svc_linear": folds_of([0.70] * 5),
        "logistic": folds_of([0.81] * 5),
        "forest": folds_of([0.84] * 5),
    }
    assert choose(folds)[0] == "forest"


@pytest.mark.parametrize("better", SVC_KERNELS)
def test_choose_between_two_svcs_by_accuracy_not_by_roc_auc(better):
    folds = {
        name: folds_of([0.81] * 5) if name == better else folds_of([0.8] * 5, roc_auc=0.9)
        for name in SVC_KERNELS
    }
    assert choose(folds)[0] == better


def test_choose_challenger_with_higher_roc_auc_alone_does_not_win():
    folds = {
        "svc_rbf": folds_of([0.8] * 5),
        "svc_linear": folds_of([0.8] * 5),
        "forest": folds_of([0.8] * 5, roc_auc=0.99),
    }
    assert choose(folds)[0] == "svc_rbf"


@pytest.mark.parametrize(("cost_ratio", "threshold"), [(1, 0.5), (3, 0.75), (0.25, 0.2), (9, 0.9)])
def test_threshold_for_is_where_both_errors_cost_the_same(cost_ratio, threshold):
    found = threshold_for(cost_ratio)
    assert found == pytest.approx(threshold)
    assert found * 1 == pytest.approx((1 - found) * cost_ratio)


def test_figures_equal_those_by_hand():
    good = np.array([1, 1, 1, 0, 0])
    probability = np.array([0.9, 0.5, 0.3, 0.6, 0.1])
    found = figures(good, probability, threshold=0.5)
    # Granted: the first two, which are good, and the fourth, which is bad; 0.5 is granted.
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    # Pairs of a good and a bad row: 4 of 6 in the right order.
    assert found["roc_auc"] == pytest.approx(4 / 6)
    # By rising probability: bad, good, good, bad, good; precision 1/1 and 2/4 where recall rises.
    assert found["pr_auc_refused"] == pytest.approx((1 / 1 + 2 / 4) / 2)
    assert found["brier"] == pytest.approx((0.01 + 0.25 + 0.49 + 0.36 + 0.01) / 5)
    assert set(found) == set(METRICS)


@pytest.mark.parametrize("rare", [0, 1])
def test_train_too_few_rows_of_a_class(product, rare):
    fields, good = read_rows(product, product.data_file)
    kept = np.concatenate([np.flatnonzero(good == rare)[:24], np.flatnonzero(good != rare)[:100]])
    with pytest.raises(InvalidData, match="at least 25 good and 25 bad rows"):
        train(product, (fields.iloc[kept], good[kept]), threshold=0.5)


def test_train_field_without_any_value(product):
    fields, good = read_rows(product, product.data_file)
    with pytest.raises(InvalidData, match="no row has a value for home_status, assets"):
        train(product, (fields.assign(assets=np.nan, home_status=None), good), threshold=0.5)


@pytest.fixture(scope="module")
def linear(product):
    candidate = next(c for c in candidates(product, seed=SEED) if c.name == "svc_linear")
    return dataclasses.replace(
        candidate, grid={key: values[:1] for key, values in candidate.grid.items()}
    )


def fitted_statistics(model):
    """Every number that the preparation has learned."""
    prepare = model.named_steps["calibrated"].calibrated_classifiers_[0].estimator[0]
    number = prepare.named_transformers_["number"]
    knots = [basis.t for basis in number["spline"].bsplines_]
    scale = number["scale"]
    return np.concatenate([number["impute"].statistics_, scale.mean_, scale.scale_, *knots])


def test_fit_learns_from_the_training_rows_alone(product, linear):
    fields, good = read_rows(product, product.data_file)
    train_rows, test_rows = np.arange(200), np.arange(200, 300)
    models = []
    for factor in (1, 1000):
        changed = fields.astype({"assets": "float64"})
        changed.iloc[test_rows, changed.columns.get_loc("assets")] *= factor
        part = (changed.iloc[train_rows], good[train_rows])
        models.append(fit(linear, product, part, effort=DEFAULT, seed=SEED)[0])
        models[-1].predict_proba(changed.iloc[test_rows])
    assert np.array_equal(fitted_statistics(models[0]), fitted_statistics(models[1]))
    assert export_scorer(models[0]) == export_scorer(models[1])
    columns = columns_of(product).transform(fields.iloc[train_rows])
    number = models[0].named_steps["calibrated"].calibrated_classifiers_[0].estimator[0]
    names = next(names for part, _, names in number.transformers_ if part == "number")
    medians = number.named_transformers_["number"]["impute"].statistics_
    np.testing.assert_allclose(medians, columns[names].median())


def test_fit_searches_settings_within_folds_by_roc_auc(product, linear):
    fields, good = read_rows(product, product.data_file)
    grid = linear.grid | {"classify__C": [1e-9, 0.3]}
    part = (fields.iloc[:300], good[:300])
    candidate = dataclasses.replace(linear, grid=grid, fine_grid=linear.grid)
    _, settings = fit(candidate, product, part, effort=DEFAULT, seed=SEED)
    assert settings["classify__C"] == 0.3
    thorough = dataclasses.replace(THOROUGH, inner_folds=2)
    _, settings = fit(candidate, product, part, effort=thorough, seed=SEED)
    assert settings["classify__C"] == linear.grid["classify__C"][0]


def test_fit_is_calibrated_on_rows_held_out(product, linear):
    fields, good = read_rows(product, product.data_file)
    model, _ = fit(linear, product, (fields.iloc[:1500], good[:1500]), effort=DEFAULT, seed=SEED)
    probability = model.predict_proba(fields.iloc[1500:])[:, 1]
    assert probability.mean() == pytest.approx(good[1500:].mean(), abs=0.03)
    assert model.classes_.tolist() == [0, 1]


def test_train_compares_chooses_and_fits_all(product):
    fields, good = read_rows(product, product.data_file)
    competing = [
        dataclasses.replace(c, grid={key: values[:1] for key, values in c.grid.items()})
        for c in candidates(product, seed=SEED)[:3]
    ]
    names = [c.name for c in competing]
    seen = []

    def progress(tasks, total):
        for task in tasks:
            seen.append(total)
            yield task

    rows = (fields.iloc[:250], good[:250])
    effort = dataclasses.replace(DEFAULT, inner_folds=2)
    found = train(
        product, rows, threshold=0.5, effort=effort, competing=competing, progress=progress
    )
    assert seen == [3 * FOLDS + 3] * (3 * FOLDS + 3)
    assert [row["name"] for row in found.table] == names
    assert all(0 <= row[metric]["mean"] <= 1 for row in found.table for metric in METRICS)
    assert all(row["roc_auc"]["sd"] > 0 for row in found.table)
    assert found.champion in names
    assert found.reason.startswith(f"{found.champion} decides")
    assert list(found.models) == list(found.settings) == names
    for candidate in competing:
        alone, _ = fit(candidate, product, rows, effort=effort, seed=SEED)
        assert export_scorer(alone) == export_scorer(found.models[candidate.name])
