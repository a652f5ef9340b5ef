"""Islands, spikes and steps of a margin, none of which ml/explaining/counterfactual.py may miss."""

import math

import numpy as np
import pytest

from ml.explaining.counterfactual import nearest_granted
from ml.scoring.scorer import Scorer
from ml.training.export import export_scorer
from tests.ml.explaining.search import altered, by_force, frame_of, only, ranges_of


def bump(base, *, center, height):
    """A margin that is below 0 but within a few EUR of one amount, where it is the height."""
    trained, application = base
    content = export_scorer(trained.models["svc_rbf"])
    row = Scorer(content).score({**application, "loan_amount": center}).row
    return altered(
        content,
        {
            "vectors": np.array([row]),
            "dual": np.array([1.0]),
            "gamma": np.float64(1e5),
            "intercept": np.float64(height - 1),
        },
        calibration=[-1.0, 0.0],
    )


@pytest.mark.parametrize("center", [8_998, 7_001, 640])
@pytest.mark.parametrize("height", [0.002, -0.0001])
def test_nearest_granted_on_an_island_of_a_kernel_is_found(base, product, center, height):
    scorer, (_, application) = bump(base, center=center, height=height), base
    values = range(8_999, 600, -1)
    granted = scorer.score_many(frame_of(application, "loan_amount", values)) >= 0.5
    assert granted.sum() in (range(1, 8) if height > 0 else [0])
    expected = by_force(scorer, application, "loan_amount", values)
    changes = nearest_granted(
        product, scorer, application, threshold=0.5, ranges=ranges_of(product)
    )
    change = only(changes, "loan_amount", "less")
    assert change.value == expected
    assert change.searched == (601, 8_999)


def along(field, base, make):
    """A margin of one field's column alone, whose breaks and pieces are made from it."""
    content = export_scorer(base[0].models["svc_linear"])
    plain = Scorer(content)
    mean, scale = plain.place(field.name)
    size = math.log1p if field.transform == "log" else float
    breaks, pieces = make(lambda v: (size(v) - mean) / scale)
    count = len(plain.margin.curves)
    arrays = {f"breaks_{i}": np.array([-9.0, 9.0]) for i in range(count)}
    arrays |= {f"pieces_{i}": np.zeros((2, 1)) for i in range(count)}
    at = plain.columns.index(field.name)
    arrays |= {f"breaks_{at}": np.array(breaks), f"pieces_{at}": np.array(pieces)}
    arrays |= {"weights": np.zeros_like(plain.margin.weights), "intercept": np.float64(0)}
    return altered(content, arrays, calibration=[-1.0, 0.0])


def spike(field, base, *, around, corners):
    """A margin of -1 but for 1 on the way between two amounts: straight lines, or steps."""

    def make(column):
        left, right = column(around[0]), column(around[1])
        slope = 4 / (right - left)
        if corners:
            breaks = [-9.0, left, (left + right) / 2, right, 9.0]
            return breaks, [[0, slope, -slope, 0], [-1.0, -1.0, 1.0, -1.0]]
        return [-9.0, left, right, 9.0], [[0.0, 0.0, 0.0], [-1.0, 1.0, -1.0]]

    return along(field, base, make)


@pytest.mark.parametrize("corners", [True, False])
@pytest.mark.parametrize(
    ("around", "expected"),
    [
        ((3_455.6, 3_456.4), 3_456),
        ((3_456.1, 3_456.9), None),
        ((3_455.6, 3_458.4), 3_458),
        ((8_998.9, 8_999.1), 8_999),
        ((600.5, 601.5), 601),
    ],
)
def test_nearest_granted_between_two_breaks_is_found(base, product, corners, around, expected):
    amount, application = product.by_name["loan_amount"], base[1]
    scorer = spike(amount, base, around=around, corners=corners)
    values = range(8_999, 600, -1)
    by_force_first = by_force(scorer, application, "loan_amount", values)
    if not corners:
        assert by_force_first == expected
    changes = nearest_granted(
        product, scorer, application, threshold=0.5, ranges=ranges_of(product)
    )
    assert only(changes, "loan_amount", "less").value == by_force_first


def test_nearest_granted_before_a_step_at_the_end_of_an_interval_is_found(base, product):
    # From 6 to 39 months is halved at 22: until there the margin rises from below 0 to 1, and
    # there it falls to -1. Nothing tells of it but the step.
    def make(column):
        left, right = column(6), column(22)
        slope = 1.5 / (right - left)
        return [-9.0, right, 9.0], [[slope, 0.0], [1 - slope * (right + 9), -1.0]]

    scorer = along(product.by_name["loan_term_months"], base, make)
    changes = nearest_granted(product, scorer, base[1], threshold=0.5, ranges=ranges_of(product))
    assert only(changes, "loan_term_months", "less").value == 21
