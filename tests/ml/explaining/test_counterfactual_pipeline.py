"""What ml/explaining/counterfactual.py promises of a champion without an array form."""

import numpy as np
import pytest

from ml.explaining import counterfactual
from ml.explaining.counterfactual import nearest_granted
from ml.training.export import export_scorer
from tests.ml.explaining.search import altered, by_force, only, ranges_of, real, refused, sides


def test_nearest_granted_of_a_pipeline_equals_brute_force(scorer_for, product):
    scorer = scorer_for("boosting", product)
    assert scorer.margin is None
    rows = refused(scorer, real(product), count=1)
    ranges = ranges_of(product) | {"loan_amount": (601, 9_000)}
    for application in rows:
        changes = nearest_granted(product, scorer, application, threshold=0.5, ranges=ranges)
        for change in changes:
            field = product.by_name[change.field]
            values = sides(product, application, field, ranges)[change.direction]
            assert change.value == by_force(scorer, application, field.name, values)
            if change.value is None:
                assert change.searched == (min(values), max(values))
            else:
                assert change.searched[0] <= change.value <= change.searched[1]
                changed = {**application, field.name: change.value}
                assert change.probability == scorer.score(changed).probability


@pytest.mark.parametrize(
    ("away", "looked"),
    [(1, 64), (64, 64), (65, 320), (320, 320), (321, 1_344), (1_344, 1_344), (1_345, 5_440)],
)
def test_nearest_granted_of_a_pipeline_leaves_out_no_value(base, product, away, looked):
    def grants_one(frame):
        return np.where(np.equal(frame["loan_amount"], 9_000 - away), 0.9, 0.1)

    content = export_scorer(base[0].models["svc_linear"])
    scorer = altered(content, kind="pipeline", pipeline=grants_one)
    changes = nearest_granted(product, scorer, base[1], threshold=0.5, ranges=ranges_of(product))
    found = (9_000 - away, 0.9, (9_000 - looked, 8_999))
    assert only(changes, "loan_amount", "less")[2:] == found


def test_nearest_granted_of_a_pipeline_says_how_far_it_looked(base, product, monkeypatch):
    monkeypatch.setattr(counterfactual, "MOST", 100)
    content = export_scorer(base[0].models["svc_linear"])
    scorer = altered(content, kind="pipeline", pipeline=lambda f: np.zeros(len(f["loan_amount"])))
    changes = nearest_granted(product, scorer, base[1], threshold=0.5, ranges=ranges_of(product))
    assert only(changes, "loan_amount", "less")[2:] == (None, None, (8_900, 8_999))
    assert only(changes, "loan_term_months", "less")[2:] == (None, None, (6, 39))
