"""Tests of ml/training/tuning.py."""

import pytest
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from ml.training.candidates import candidates
from ml.training.columns import columns_of
from ml.training.dataset import read_rows
from ml.training.tuning import best_settings

FOLDS = 3


@pytest.fixture(scope="module")
def rows(product):
    fields, good = read_rows(product, product.data_file).data
    return columns_of(product).transform(fields)[:400], good[:400]


@pytest.fixture
def folds(rows):
    return list(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(*rows))


@pytest.mark.parametrize("name", ["svc_rbf", "svc_linear", "neighbours", "boosting"])
def test_best_settings_are_those_of_a_grid_search(product, rows, folds, name):
    candidate = next(c for c in candidates(product, seed=0) if c.name == name)
    search = GridSearchCV(candidate.estimator, candidate.grid, scoring="roc_auc", cv=folds)
    search.refit = False
    search.fit(*rows)
    assert best_settings(candidate.estimator, candidate.grid, rows, folds) == search.best_params_


def test_best_settings_of_equals_are_the_first(product, rows, folds):
    candidate = next(c for c in candidates(product, seed=0) if c.name == "logistic")
    grid = {"classify__C": [1.0], "classify__max_iter": [4000, 5000]}  # it converges before
    assert best_settings(candidate.unbound, grid, rows, folds)["classify__max_iter"] == 4000


def test_each_preparation_is_fitted_once_a_fold(product, rows, folds, monkeypatch):
    fitted = []
    fit = SimpleImputer.fit

    def count(self, *arguments, **more):
        if self.strategy == "most_frequent":  # the one of the choices
            fitted.append(self)
        return fit(self, *arguments, **more)

    monkeypatch.setattr(SimpleImputer, "fit", count)
    candidate = next(c for c in candidates(product, seed=0) if c.name == "svc_linear")
    best_settings(candidate.estimator, candidate.grid, rows, folds)
    degrees = candidate.grid["prepare__number__spline__degree"]
    assert len(fitted) == FOLDS * len(degrees)


def test_single_setting_is_returned_without_fitting(product, rows):
    candidate = next(c for c in candidates(product, seed=0) if c.name == "forest")
    assert best_settings(candidate.estimator, candidate.grid, rows, folds=[]) == {
        "classify__min_samples_leaf": 5
    }
