"""Tests of ml/training/train.py."""

import dataclasses
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from ml.bundle.facts import Effort, Settings
from ml.evaluation.performance import METRICS, figures
from ml.evaluation.reports import Figures
from ml.explaining.reasons import MAX_PLAYERS
from ml.product.definition import Product
from ml.product.errors import InvalidData
from ml.product.samples import examples
from ml.training.candidates import (
    LABELS,
    SVC_KERNELS,
    Candidate,
    candidates,
)
from ml.training.columns import columns_of
from ml.training.dataset import read_rows
from ml.training.export import export_scorer
from ml.training.importance import importance
from ml.training.monotone import MonotoneLinear
from ml.training.selection import choose, chosen_blind
from ml.training.train import (
    DEFAULT,
    FOLDS,
    SEED,
    THOROUGH,
    fit,
    train,
)


@pytest.mark.parametrize("rare", [0, 1])
def test_train_too_few_rows_of_a_class(product, rare):
    fields, good = read_rows(product, product.data_file).data
    some = np.concatenate([np.flatnonzero(good == rare)[:24], np.flatnonzero(good != rare)[:100]])
    with pytest.raises(InvalidData, match="at least 25 good and 25 bad rows"):
        train(product, (fields.iloc[some], good[some]), threshold=0.5, cost_ratio=1)


def test_train_field_without_any_value(product):
    fields, good = read_rows(product, product.data_file).data
    with pytest.raises(InvalidData, match="no row has a value for home_status, assets"):
        train(
            product,
            (fields.assign(assets=np.nan, home_status=None), good),
            threshold=0.5,
            cost_ratio=1,
        )


@pytest.fixture(scope="module")
def linear(product):
    candidate = next(c for c in candidates(product, seed=SEED) if c.name == "svc_linear")
    return dataclasses.replace(
        candidate, grid={key: values[:1] for key, values in candidate.grid.items()}
    )


def fitted_statistics(model):
    """Return all statistics that the preparation has fitted."""
    prepare = model.named_steps["calibrated"].calibrated_classifiers_[0].estimator[0]
    number = prepare.named_transformers_["number"]
    knots = [basis.t for basis in number["spline"].bsplines_]
    scale = number["scale"]
    return np.concatenate([number["impute"].statistics_, scale.mean_, scale.scale_, *knots])


def test_fit_learns_from_the_training_rows_alone(product, linear):
    fields, good = read_rows(product, product.data_file).data
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
    fields, good = read_rows(product, product.data_file).data
    grid = linear.grid | {"classify__C": [1e-9, 0.3]}
    part = (fields.iloc[:300], good[:300])
    candidate = dataclasses.replace(linear, grid=grid, fine_grid=linear.grid)
    _, settings = fit(candidate, product, part, effort=DEFAULT, seed=SEED)
    assert settings["classify__C"] == 0.3
    thorough = THOROUGH.model_copy(update={"inner_folds": 2})
    _, settings = fit(candidate, product, part, effort=thorough, seed=SEED)
    assert settings["classify__C"] == linear.grid["classify__C"][0]


def test_fit_searches_settings_on_a_sample_and_fits_all_rows(product, linear):
    fields, good = (part[:600] for part in read_rows(product, product.data_file).data)
    candidate = dataclasses.replace(linear, grid=linear.grid | {"classify__C": [1e-3, 0.03, 3.0]})
    few = DEFAULT.model_copy(update={"search_rows": 90})
    model, settings = fit(candidate, product, (fields, good), effort=few, seed=SEED)
    some, _ = train_test_split(np.arange(600), train_size=90, stratify=good, random_state=SEED)
    assert good[some].mean() == pytest.approx(good.mean(), abs=0.01)
    alone = (fields.iloc[some], good[some])
    assert settings == fit(candidate, product, alone, effort=DEFAULT, seed=SEED)[1]
    chosen = dataclasses.replace(candidate, grid={k: [v] for k, v in settings.items()})
    whole, _ = fit(chosen, product, (fields, good), effort=DEFAULT, seed=SEED)
    assert export_scorer(model) == export_scorer(whole)
    assert DEFAULT.search_rows == 5_000
    assert THOROUGH.search_rows is None


@pytest.mark.parametrize("turned", [False, True])
def test_train_of_a_product_with_directions_compares_with_and_without(product, turned):
    """Where short times in a job go with good rows, the direction costs too much and is dropped."""
    few = ("loan_amount", "purchase_price", "years_in_job")
    product = of_fields(product, [product.by_name[name] for name in few])
    fields, good = read_rows(product, product.data_file).data
    if turned:
        good = (fields["years_in_job"] < 4).to_numpy().astype(int)
    rows = (fields.iloc[:250], good[:250])
    competing = [
        dataclasses.replace(c, grid={k: v[:1] for k, v in c.grid.items()})
        for c in candidates(product, seed=SEED)
        if c.name in SVC_KERNELS
    ]
    seen = []

    def progress(tasks, total):
        seen.append(total)
        return tasks

    found = train(
        product, rows, threshold=0.5, cost_ratio=1, competing=competing, progress=progress
    )
    assert seen == [3 * (FOLDS + 1)]  # two kinds, and one of them without directions too
    assert [bound.candidate for bound in found.bound] == ["svc_linear"]
    assert set(found.models) == set(found.settings) == set(SVC_KERNELS)
    assert {row.name for row in found.table} == set(SVC_KERNELS)
    assert found.bound[0].kept is not turned
    final = inner(found.models["svc_linear"])
    assert isinstance(final, LinearSVC if turned else MonotoneLinear)
    cost = next(row.expected_cost.mean for row in found.table if row.name == "svc_linear")
    assert (cost < 0.1) == turned
    if turned:
        assert found.champion == "svc_linear"
        assert figures(rows[1], found.out_of_fold, threshold=0.5, cost_ratio=1).accuracy > 0.9
        assert found.importance[0].field == "years_in_job"
        assert found.importance[0].mean > 0.3


def inner(model):
    return model.named_steps["calibrated"].calibrated_classifiers_[0].estimator[-1]


def test_fit_is_calibrated_on_rows_held_out(product, linear):
    fields, good = read_rows(product, product.data_file).data
    model, _ = fit(linear, product, (fields.iloc[:1500], good[:1500]), effort=DEFAULT, seed=SEED)
    probability = model.predict_proba(fields.iloc[1500:])[:, 1]
    assert probability.mean() == pytest.approx(good[1500:].mean(), abs=0.03)
    assert model.classes_.tolist() == [0, 1]


LOAN_ONLY = {"term", "policy_rules", "figures", "warnings"}  # name fields that are left out


def of_fields(product, fields, **more):
    """Return the product with other fields."""
    definition = product.model_dump(exclude_defaults=True, exclude=LOAN_ONLY)
    definition |= {"rows": {"repeated": "keep"}} | more
    plain = [field.model_dump(exclude_defaults=True) for field in fields]
    return Product.model_validate({**definition, "fields": plain})


def test_train_compares_chooses_and_fits_all(product):
    few = ("loan_amount", "purchase_price", "years_in_job", "adverse_credit_record")
    product = of_fields(product, [product.by_name[name] for name in few])
    fields, good = read_rows(product, product.data_file).data
    competing = [
        light(name, LogisticRegression(), {"classify__C": strengths})
        for name, strengths in zip(SVC_KERNELS, ([1e-4, 1e-2, 0.1], [1.0]), strict=True)
    ]
    names = [c.name for c in competing]
    seen = []

    def progress(tasks, total):
        for task in tasks:
            seen.append(total)
            yield task

    rows = (fields.iloc[:250], good[:250])
    effort = Effort(repeats=2, inner_folds=2)
    found = train(
        product,
        rows,
        threshold=0.7,
        cost_ratio=2,
        effort=effort,
        competing=competing,
        progress=progress,
    )
    assert seen == [4 * FOLDS + 2] * (4 * FOLDS + 2)
    assert [row.name for row in found.table] == names
    assert all(row.roc_auc.sd > 0 for row in found.table)
    assert found.champion in names
    assert found.reason.en.startswith(f"The {LABELS[found.champion].en} decides")
    assert list(found.models) == list(found.settings) == names
    assert {row.field for row in found.importance} == set(product.by_name)
    for candidate in competing:
        alone, settings = fit(candidate, product, rows, effort=effort, seed=SEED)
        both = (m.predict_proba(rows[0]) for m in (alone, found.models[candidate.name]))
        np.testing.assert_array_equal(*both)
        assert settings == found.settings[candidate.name]
    splits = list(
        RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=2, random_state=SEED).split(*rows)
    )
    by_hand = {c.name: judged(c, product, rows, splits, effort) for c in competing}
    folds = {name: [one.figures for one in every] for name, every in by_hand.items()}
    options = {"may_decide": set(names), "k": FOLDS}
    assert (found.champion, found.reason) == choose(folds, **options)
    assert found.chosen_blind == chosen_blind(folds, **options)
    first_repeat = by_hand[found.champion][:FOLDS]
    for (_, outside), one in zip(splits, first_repeat, strict=False):
        np.testing.assert_allclose(found.out_of_fold[outside], one.probability, rtol=1e-12)
    # Each fold must use its own settings: the final ones were chosen on the held-out rows as well.
    assert found.importance == importance(
        competing[names.index(found.champion)].estimator,
        product,
        rows,
        settings=[one.settings for one in first_repeat],
        splits=splits[:FOLDS],
        seed=SEED,
    )
    for row in found.table:
        for metric in METRICS:
            values = [getattr(one, metric) for one in folds[row.name]]
            assert getattr(row, metric).mean == pytest.approx(np.mean(values))
            assert getattr(row, metric).sd == pytest.approx(np.std(values, ddof=1))


class Fold(NamedTuple):
    """What a candidate says of a fold's rows held out, and the settings chosen on the others."""

    probability: np.ndarray
    figures: Figures
    settings: Settings


def judged(candidate, product, rows, splits, effort):
    """Fit a candidate in every fold, as `train` must: threshold 0.7, cost ratio 2."""
    found = []
    for inside, outside in splits:
        part = (rows[0].iloc[inside], rows[1][inside])
        model, settings = fit(candidate, product, part, effort=effort, seed=SEED)
        probability = model.predict_proba(rows[0].iloc[outside])[:, 1]
        figured = figures(rows[1][outside], probability, threshold=0.7, cost_ratio=2)
        found.append(Fold(probability, figured, settings))
    return found


def light(name, classifier, grid):
    """Return a candidate that is fitted quickly and takes only numbers."""
    steps = [("prepare", SimpleImputer()), ("classify", classifier)]
    return Candidate(name, Pipeline(steps), grid, grid)


def test_train_lets_none_decide_that_cannot_be_explained(product):
    """The forest (of one tree) is always right, but has too many fields to be explained."""
    term, flag = (product.by_name[name] for name in ("loan_term_months", "adverse_credit_record"))
    flags = [flag.model_copy(update={"name": f"flag_{i}"}) for i in range(MAX_PLAYERS)]
    wide = of_fields(product, [term, *flags], amount="loan_term_months", ratios=[])
    fields = pd.DataFrame(examples(wide, count=150, seed=0))
    good = fields["flag_3"].to_numpy()
    competing = [light(svc, DummyClassifier(), {}) for svc in SVC_KERNELS]
    competing.append(light("forest", DecisionTreeClassifier(max_depth=1), {}))
    found = train(wide, (fields, good), threshold=0.5, cost_ratio=1, competing=competing)
    accuracies = {row.name: row.accuracy.mean for row in found.table}
    assert accuracies["forest"] == 1
    assert accuracies["svc_rbf"] < 0.7
    assert found.champion == "svc_rbf"
    cost = next(row.expected_cost for row in found.table if row.name == "svc_rbf")
    error = cost.sd * (1 / FOLDS + 1 / (FOLDS - 1)) ** 0.5  # the forest costs 0 in every fold
    numbers = f"{cost.mean:.4f} (standard error {error:.4f})"
    assert f"The cost of the random forest is lower by {numbers}, but" in found.reason.en
    # The importance is the champion's, a dummy that uses no field.
    assert {row.mean for row in found.importance} == {0.0}
