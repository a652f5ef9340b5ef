"""What ml/explaining/counterfactual.py promises."""

import dataclasses
import io
import json
import math

import numpy as np
import pandas as pd
import pytest

from ml.explaining import counterfactual
from ml.explaining.counterfactual import Counterfactual, nearest_granted
from ml.product.definition import Product, read_product
from ml.product.samples import examples
from ml.scoring.scorer import Scorer
from ml.training.candidates import candidates
from ml.training.dataset import read_rows
from ml.training.export import export_scorer
from ml.training.train import DEFAULT, SEED, fit

ROWS = 400
SMALL = {"classify__max_iter": [10]}


@pytest.fixture(scope="module")
def scorer_of(trained):
    """Scorers by product and candidate, each fitted when it is first asked for."""
    scorers = {}

    def get(name, product):
        if (name, product.name) not in scorers:
            model = (
                trained.models[name]
                if name in trained.models and product.name == "consumer_credit"
                else fitted(product, name)
            )
            scorers[name, product.name] = Scorer(
                export_scorer(model),
                pipeline=lambda frame: model.predict_proba(pd.DataFrame(frame))[:, 1],
            )
        return scorers[name, product.name]

    return get


def fitted(product, name):
    fields, good = read_rows(product, product.data_file)
    candidate = next(c for c in candidates(product, seed=SEED) if c.name == name)
    grid = SMALL if name == "boosting" else {key: v[:1] for key, v in candidate.grid.items()}
    part = (fields.iloc[:ROWS], good[:ROWS])
    return fit(dataclasses.replace(candidate, grid=grid), product, part, effort=DEFAULT, seed=SEED)[
        0
    ]


def real(product):
    """The applications of the product's rows."""
    fields, _ = read_rows(product, product.data_file)
    rows = fields.astype(object).where(fields.notna(), None).to_dict("records")
    return [{n: int(v) if isinstance(v, float) else v for n, v in row.items()} for row in rows]


def ranges_of(product):
    fields, _ = read_rows(product, product.data_file)
    return {
        f.name: (int(fields[f.name].min()), int(fields[f.name].max()))
        for f in product.inputs
        if f.kind == "integer"
    }


def changeable(product, *names, **said):
    """Return the product with these fields as the only ones that the applicant can change."""
    fields = [
        f.model_dump(exclude_unset=True) | {"changeable": f.name in names} for f in product.fields
    ]
    return Product.model_validate(
        product.model_dump(exclude_unset=True) | {"fields": fields} | said
    )


def refused(scorer, applications, *, count, threshold=0.5):
    frame = {name: [a[name] for a in applications] for name in applications[0]}
    probability = scorer.score_many(frame)
    found = [a for a, p in zip(applications, probability, strict=True) if p < threshold]
    assert len(found) >= count
    return found[:count]


def frame_of(application, field, values):
    return {n: [v] * len(values) for n, v in application.items()} | {field: list(values)}


def halfway(scorer, application, field, values):
    """Return a threshold that some of the values reach and others miss."""
    probability = scorer.score_many(frame_of(application, field, values))
    return float(probability.min() + probability.max()) / 2


def by_force(scorer, application, field, values, threshold=0.5):
    """Return the first of the values that is granted."""
    if len(values) == 0:
        return None
    granted = scorer.score_many(frame_of(application, field, values)) >= threshold
    return values[int(granted.argmax())] if granted.any() else None


def sides(product, application, field, ranges):
    """Return the values on each side, the nearest first."""
    low, high = ranges[field.name]
    low, high = max(low, field.minimum), min(high, field.maximum)
    if field.at_most:
        high = min(high, application[field.at_most])
    applied = application[field.name]
    below = high if applied is None else min(high, applied - 1)
    above = low if applied is None else max(low, applied + 1)
    both = {"less": range(below, low - 1, -1), "more": range(above, high + 1)}
    return {"less": both["less"]} if field.name == product.amount else both


def check(product, scorer, applications, ranges, threshold=0.5):
    """Compare every change with the answer by brute force; return how many values were found."""
    found = 0
    for application in applications:
        changes = nearest_granted(product, scorer, application, threshold=threshold, ranges=ranges)
        expected = []
        for field in product.inputs:
            if field.changeable and field.kind == "integer":
                for direction, values in sides(product, application, field, ranges).items():
                    value = by_force(scorer, application, field.name, values, threshold)
                    probability, searched = None, None
                    if value is not None:
                        changed = {**application, field.name: value}
                        probability = scorer.score(changed).probability
                        found += 1
                    if values:
                        searched = (min(values[0], values[-1]), max(values[0], values[-1]))
                    expected.append(
                        Counterfactual(field.name, direction, value, probability, searched)
                    )
        assert changes == expected
    return found


def altered(scorer_bytes, arrays=None, *, pipeline=None, **layout):
    """Return a Scorer from an export with other arrays or another layout."""
    held = np.load(io.BytesIO(scorer_bytes))
    full = json.loads(str(held["layout"])) | layout
    content = io.BytesIO()
    np.savez(content, **({**held} | (arrays or {}) | {"layout": np.array(json.dumps(full))}))
    return Scorer(content.getvalue(), pipeline=pipeline)


def only(changes, field, direction):
    [change] = [c for c in changes if (c.field, c.direction) == (field, direction)]
    return change


@pytest.mark.parametrize("name", ["svc_linear", "logistic", "svc_rbf"])
def test_nearest_granted_equals_brute_force(scorer_of, product, name):
    scorer = scorer_of(name, product)
    ranges = ranges_of(product)
    rows = [a for a in real(product) if a["loan_amount"] < 9_000]
    rows = refused(scorer, rows, count=60)
    assert any(None in a.values() for a in rows)
    assert check(product, scorer, rows, ranges) > 20
    random = refused(scorer, examples(product, count=400, seed=5, unseen=True), count=60)
    # Most of them ask for more than the upper end of this range.
    assert check(product, scorer, random, ranges | {"loan_amount": (601, 4_000)}) > 10


@pytest.mark.parametrize("threshold", [0.3, 0.8])
@pytest.mark.parametrize("name", ["svc_linear", "svc_rbf"])
def test_nearest_granted_at_another_threshold_equals_brute_force(
    scorer_of, product, name, threshold
):
    scorer = scorer_of(name, product)
    rows = refused(scorer, real(product), count=15, threshold=threshold)
    assert check(product, scorer, rows, ranges_of(product), threshold) > 5


@pytest.mark.parametrize("name", ["svc_linear", "logistic", "svc_rbf"])
def test_nearest_granted_of_a_mortgage_equals_brute_force(scorer_of, name):
    product = read_product("mortgage")
    scorer = scorer_of(name, product)
    ranges = ranges_of(product)
    assert ranges["loan_amount"][1] == 980_000
    term, top = changeable(product, "loan_term_months"), {"loan_amount": (2_000, 30_000)}
    found = 0
    applications = examples(product, count=60, seed=6, unseen=True)
    assert any(a["loan_term_months"] is None for a in applications)
    for number, application in enumerate(applications):
        threshold = halfway(scorer, application, "loan_term_months", range(6, 481))
        found += check(term, scorer, [application], ranges, threshold)
        if number < 10:
            threshold = halfway(scorer, application, "loan_amount", range(2_000, 30_001))
            found += check(product, scorer, [application], ranges | top, threshold)
    assert found > 60


def test_nearest_granted_in_a_wide_range_equals_brute_force(scorer_of):
    product = read_product("mortgage")
    scorer = scorer_of("svc_rbf", product)
    [application] = examples(product, count=1, seed=2)
    application["loan_amount"] = 1_500_000
    island = scorer.score_many(frame_of(application, "loan_amount", range(2_000, 980_000, 100)))
    # Only the highest values are granted, and they are few.
    threshold = float(np.quantile(island, 0.999))
    changes = nearest_granted(
        product, scorer, application, threshold=threshold, ranges=ranges_of(product)
    )
    found = only(changes, "loan_amount", "less").value
    around = range(found + 20_000, found - 1, -1)
    assert by_force(scorer, application, "loan_amount", around, threshold) == found
    assert (island[np.arange(2_000, 980_000, 100) > found] < threshold).all()


@pytest.fixture
def base(trained, product):
    """An export, and an application that the models made from it below are asked about."""
    application = examples(product, count=1, seed=12)[0]
    application |= {"loan_amount": 9_000, "purchase_price": 20_000, "loan_term_months": 40}
    return trained, application


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


@pytest.mark.parametrize("name", ["svc_linear", "svc_rbf"])
def test_nearest_granted_none_found_says_where_it_looked(scorer_of, base, product, name):
    changes = nearest_granted(
        product,
        scorer_of(name, product),
        base[1],
        threshold=1 - 1e-9,
        ranges={"loan_amount": (1, 10**6), "loan_term_months": (-5, 1_000)},
    )
    assert changes == [
        Counterfactual("loan_amount", "less", None, None, (500, 8_999)),
        Counterfactual("loan_term_months", "less", None, None, (6, 39)),
        Counterfactual("loan_term_months", "more", None, None, (41, 72)),
    ]


@pytest.mark.parametrize("name", ["svc_linear", "svc_rbf"])
def test_nearest_granted_at_exactly_the_threshold_is_granted(scorer_of, base, product, name):
    scorer, (_, application) = scorer_of(name, product), base
    values = range(8_999, 8_000, -1)
    one_by_one = [scorer.score({**application, "loan_amount": v}).probability for v in values]
    best = int(np.argmax(one_by_one))
    for threshold, found in (
        (one_by_one[best], values[best]),
        (math.nextafter(one_by_one[best], 1), None),
    ):
        changes = nearest_granted(
            product,
            scorer,
            application,
            threshold=threshold,
            ranges=ranges_of(product) | {"loan_amount": (8_001, 30_000)},
        )
        assert only(changes, "loan_amount", "less").value == found


def test_nearest_granted_where_nothing_is_on_a_side(scorer_of, base, product):
    application = base[1] | {"loan_amount": 601, "loan_term_months": 72}
    scorer, ranges = scorer_of("svc_linear", product), ranges_of(product)
    changes = nearest_granted(product, scorer, application, threshold=0.999, ranges=ranges)
    assert changes == [
        Counterfactual("loan_amount", "less", None, None, None),
        Counterfactual("loan_term_months", "less", None, None, (6, 71)),
        Counterfactual("loan_term_months", "more", None, None, None),
    ]


def test_nearest_granted_where_no_value_is_allowed(scorer_of, base, product):
    ranges = {"loan_amount": (60_000, 70_000), "loan_term_months": (100, 120)}
    changes = nearest_granted(
        product, scorer_of("svc_linear", product), base[1], threshold=0.1, ranges=ranges
    )
    assert [c[2:] for c in changes] == [(None, None, None)] * 3


@pytest.mark.parametrize("ranges", [(50, 60), (10, 20)])
def test_nearest_granted_of_a_value_outside_the_range_looks_at_the_range(
    scorer_of, base, product, ranges
):
    both = {"loan_amount": (601, 601), "loan_term_months": ranges}
    changes = nearest_granted(
        product, scorer_of("svc_linear", product), base[1], threshold=0.001, ranges=both
    )
    less, more = (only(changes, "loan_term_months", d) for d in ("less", "more"))
    expected = {(50, 60): (None, 50), (10, 20): (20, None)}[ranges]
    assert (less.value, more.value) == expected
    assert [c.searched for c in (less, more)] == [ranges if v else None for v in expected]


def test_nearest_granted_passes_no_limit_of_another_field(scorer_of, base, product):
    scorer, application = scorer_of("svc_linear", product), base[1]
    for amount, sides_of_the_amount in (("loan_amount", 1), ("purchase_price", 2)):
        changes = nearest_granted(
            changeable(product, "loan_amount", "purchase_price", amount=amount),
            scorer,
            application,
            threshold=0.9999,
            ranges=ranges_of(product),
        )
        searched = {(c.field, c.direction): c.searched for c in changes}
        expected = {
            ("loan_amount", "less"): (601, 8_999),
            ("loan_amount", "more"): (9_001, 20_000),
            ("purchase_price", "less"): (9_000, 19_999),
            ("purchase_price", "more"): (20_001, ranges_of(product)["purchase_price"][1]),
        }
        del expected[amount, "more"]
        assert searched == expected
        assert len([c for c in changes if c.field == "loan_amount"]) == sides_of_the_amount


@pytest.mark.parametrize("name", ["svc_linear", "svc_rbf"])
def test_nearest_granted_of_a_divisor_equals_brute_force(scorer_of, product, name):
    scorer = scorer_of(name, product)
    divisor = changeable(product, "purchase_price", "monthly_income", "years_in_job")
    found = 0
    rows = [a for a in real(product) if a["purchase_price"] < 9_000]
    for application in refused(scorer, rows, count=12):
        # The price is over the amount, and cannot go below it.
        ranges = ranges_of(product) | {"purchase_price": (application["loan_amount"], 9_000)}
        found += check(divisor, scorer, [application], ranges)
    assert found > 5


def test_nearest_granted_without_a_value_is_the_largest_and_the_smallest(scorer_of):
    product = read_product("mortgage")
    scorer, ranges = scorer_of("logistic", product), ranges_of(product)
    [application] = examples(product, count=1, seed=9)
    application["loan_term_months"] = None
    values = range(6, 481)
    threshold = halfway(scorer, application, "loan_term_months", values)
    probability = scorer.score_many(frame_of(application, "loan_term_months", values))
    granted = [v for v, p in zip(values, probability, strict=True) if p >= threshold]
    changes = nearest_granted(product, scorer, application, threshold=threshold, ranges=ranges)
    less, more = (only(changes, "loan_term_months", d) for d in ("less", "more"))
    assert (less.value, more.value) == (granted[-1], granted[0])
    assert less.searched == more.searched == (6, 480)


def test_nearest_granted_where_a_higher_margin_is_a_worse_loan(trained, product):
    scorer = altered(export_scorer(trained.models["svc_linear"]), calibration=[1.3, 0.2])
    ranges, found = ranges_of(product), 0
    for application in real(product)[:20]:
        threshold = halfway(scorer, application, "loan_term_months", range(6, 73))
        found += check(product, scorer, [application], ranges, threshold)
    assert found > 20


def test_nearest_granted_through_zero_equals_brute_force(scorer_of):
    product = changeable(read_product("mortgage"), "net_worth", "credit_lines")
    scorer = scorer_of("svc_rbf", product)
    ranges, found = ranges_of(product) | {"net_worth": (-2_000, 1_000)}, 0
    for application in examples(product, count=20, seed=4):
        application["net_worth"] %= 500
        for field in ("net_worth", "credit_lines"):
            values = range(ranges[field][0], ranges[field][1] + 1)
            threshold = halfway(scorer, application, field, values)
            found += check(product, scorer, [application], ranges, threshold)
    assert found > 40


def test_nearest_granted_of_a_pipeline_equals_brute_force(scorer_of, product):
    scorer = scorer_of("boosting", product)
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


@pytest.mark.parametrize("kind", ["svc_linear", "logistic", "svc_rbf", "turned round"])
def test_nearest_granted_scores_few_values(scorer_of, trained, product, monkeypatch, kind):
    if kind == "turned round":
        scorer = altered(export_scorer(trained.models["svc_linear"]), calibration=[1.3, 0.2])
    else:
        scorer = scorer_of(kind, product)
    rows = refused(scorer, real(product), count=20)
    asked = []
    score = scorer.score
    monkeypatch.setattr(scorer, "score", lambda a: asked.append(a) or score(a))
    for application in rows:
        nearest_granted(product, scorer, application, threshold=0.5, ranges=ranges_of(product))
    assert len(asked) < 200 * len(rows)
