"""Tests of ml.evaluation.performance.compare: a bundle on a CSV file."""

import numpy as np
import pytest

from ml.evaluation.performance import compare, figures
from ml.training.dataset import read_rows
from tests.fixtures.models import cells

KEYS = [
    "n",
    "expected_cost",
    "log_loss",
    "accuracy",
    "balanced_accuracy",
    "roc_auc",
    "brier",
    "recall_refused",
    "grant_rate",
    "threshold",
]


def evaluate(bundle, file):
    fields, good = read_rows(bundle.product, file).data
    cost_ratio = bundle.manifest.cost_ratio
    probability = bundle.scorer.score_many(fields)
    return compare(good, probability, threshold=bundle.threshold, cost_ratio=cost_ratio)


def test_evaluate_gives_the_figures_of_the_decisions(bundle, product):
    found = evaluate(bundle, product.data_file)
    fields, good = read_rows(product, product.data_file).data
    probability = bundle.scorer.score_many(fields)
    expected = figures(good, probability, threshold=bundle.threshold, cost_ratio=1)
    assert list(found.model_dump()) == KEYS
    for name in ("expected_cost", "log_loss", "accuracy", "balanced_accuracy", "roc_auc", "brier"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name))
    granted = probability >= bundle.threshold
    assert found.n == len(good)
    assert found.grant_rate == pytest.approx(granted.mean())
    assert found.recall_refused == pytest.approx(np.mean(~granted[good == 0]))
    assert found.threshold == bundle.threshold
    assert found.roc_auc > 0.75


@pytest.mark.parametrize(("only", "null"), [("0", 2), ("1", 3)])
def test_evaluate_single_class_has_no_figure_that_needs_both(bundle, product, tmp_path, only, null):
    rows = cells(product.data_file).query("eligible == @only").head(30)
    rows.to_csv(tmp_path / "one.csv", index=False)
    found = evaluate(bundle, tmp_path / "one.csv")
    assert [key for key in KEYS if getattr(found, key) is None] == [
        "balanced_accuracy",
        "roc_auc",
        "recall_refused",
    ][:null]


def test_evaluate_one_row_with_missing_values(bundle, product, tmp_path):
    rows = cells(product.data_file).head(1).assign(monthly_income="", assets="")
    rows.to_csv(tmp_path / "one.csv", index=False)
    assert evaluate(bundle, tmp_path / "one.csv").n == 1


def test_evaluate_needs_no_protected_column(bundle, product, tmp_path):
    rows = cells(product.data_file)
    rows[[*product.by_name, product.target]].to_csv(tmp_path / "plain.csv", index=False)
    assert evaluate(bundle, tmp_path / "plain.csv") == evaluate(bundle, product.data_file)
