"""What ml/explaining/bounds.py promises."""

import io
import json

import numpy as np
import pytest

from ml.explaining.bounds import Bend, bends, ceiling
from ml.product.definition import Product
from ml.scoring.scorer import Scorer

WIDE = (-1e9, 1e9)
# A ratio of v and two other fields: sum, times, over, and what it is clipped to.
RATIOS = {
    "none": None,
    "sum": ({"v": 2.0, "a": -1.0}, (), ("b",), *WIDE),
    "times": ({"a": 1.0}, ("v",), ("b",), *WIDE),
    "over": ({"a": 1.0}, (), ("v",), *WIDE),
    "sum and times": ({"v": -0.5, "a": 1.0}, ("v", "b"), (), *WIDE),
    "sum and over": ({"v": 1.0, "a": -3.0}, (), ("v",), *WIDE),
    "times twice": ({"v": 1.0, "b": 1.0}, ("v", "v"), (), *WIDE),
    "over twice": ({"v": 1.0, "a": 7.0}, (), ("v", "v"), *WIDE),
    "times and over": ({"a": 1.0}, ("v",), ("v",), *WIDE),
    "clipped": ({"v": 1.0}, (), ("a",), -0.5, 0.75),
    "clipped over": ({"v": 1.0, "a": 7.0}, (), ("v", "v"), -0.01, 0.02),
}
APPLICATION = {"v": 5, "a": 90, "b": 11}


def made_product(transform, ratio):
    label = {"en": "x", "fr": "x"}
    low = 0 if transform == "sqrt" else -1000
    field = {"kind": "integer", "group": "g", "label": label, "minimum": low, "maximum": 1000}
    fields = [{"name": "amount"} | field]
    fields += [{"name": name, "optional": True} | field for name in ("v", "a", "b")]
    fields[1]["transform"] = transform
    ratios = []
    if ratio:
        keys = ("sum", "times", "over", "minimum", "maximum")
        ratios = [{"name": "r", "label": label} | dict(zip(keys, ratio, strict=True))]
    return Product.model_validate(
        {
            "name": "made",
            "label": label,
            "currency": "EUR",
            "data": "none.csv",
            "target": "good",
            "amount": "amount",
            "cost_ratio": 1.0,
            "groups": [{"name": "g", "label": label}],
            "fields": fields,
            "ratios": ratios,
        }
    )


def made_scorer(product, kind, arrays, *, pipeline=None, **layout):
    """A scorer whose columns are the product's numbers and ratios, in their order."""
    names = [*(f.name for f in product.inputs), *(r.name for r in product.ratios)]
    full = {
        "kind": kind,
        "numbers": [(f.name, f.transform) for f in product.inputs],
        "ratios": [
            (r.name, list(r.sum.items()), r.times, r.over, r.minimum, r.maximum)
            for r in product.ratios
        ],
        "scaled": names,
        "absent": [],
        "choices": [],
        "calibration": [-1.0, 0.0],
        **layout,
    }
    count = len(names)
    scales = {"median": np.zeros(count), "mean": np.full(count, 0.1), "scale": np.ones(count)}
    content = io.BytesIO()
    np.savez(content, layout=np.array(json.dumps(full)), **(scales | arrays))
    return Scorer(content.getvalue(), pipeline=pipeline)


def places(product, transform):
    """Scales that bring the values of v and of the ratio to a few standard deviations."""
    count = len(product.inputs) + len(product.ratios)
    scale = np.ones(count)
    scale[1] = {None: 300.0, "log": 2.0, "sqrt": 10.0}[transform]
    if product.ratios:
        r = product.ratios[0]
        grid = np.linspace(1, 1000, 500)
        terms = {"v": grid, "a": 90.0, "b": 11.0}
        value = sum(w * terms[n] for n, w in r.sum.items())
        for n in r.times:
            value = value * terms[n]
        for n in r.over:
            value = value / terms[n]
        scale[-1] = max(np.std(np.clip(value, r.minimum, r.maximum)), 1e-3)
    return scale


def random_scorer(kind, product, transform, rng):
    count = len(product.inputs) + len(product.ratios)
    arrays = {"scale": places(product, transform), "intercept": np.float64(0.3)}
    if kind in ("kernels", "one wide kernel"):
        vectors = 40 if kind == "kernels" else 1
        arrays["scale"] *= 1 if kind == "kernels" else 30
        arrays |= {
            "vectors": rng.normal(size=(vectors, count)),
            "dual": rng.normal(size=vectors),
            "gamma": np.float64(0.4),
        }
        return made_scorer(product, "rbf", arrays)
    if kind == "weights":
        arrays |= {"weights": rng.normal(size=count)}
        return made_scorer(product, "linear", arrays, curves=0)
    arrays |= {"weights": np.empty(0)}
    for i in range(count):
        # Nothing holds these pieces together: every break is a step and a corner.
        arrays |= {
            f"breaks_{i}": np.sort(rng.normal(size=5)),
            f"pieces_{i}": rng.normal(size=(4 if kind == "cubic" else 2, 4)),
        }
    return made_scorer(product, "linear", arrays, curves=count)


def random_intervals(rng, transform):
    """Narrow and wide intervals on either side of 0, in columns."""
    ends = np.sort(np.round(np.exp(rng.uniform(0, np.log(1000), size=(40, 2)))), axis=1)
    ends = ends[ends[:, 0] < ends[:, 1]]
    return (ends if transform == "sqrt" else np.concatenate([ends, -ends[:, ::-1]])).T


def margin_along(scorer, values):
    same = {name: np.full(len(values), float(value)) for name, value in APPLICATION.items()}
    return scorer.margins(same | {"amount": np.zeros(len(values)), "v": values})


@pytest.mark.parametrize("kind", ["cubic", "broken lines", "weights", "kernels", "one wide kernel"])
@pytest.mark.parametrize("transform", [None, "log", "sqrt"])
@pytest.mark.parametrize("form", RATIOS)
def test_bends_bound_every_second_difference_and_ceiling_every_value(kind, transform, form):
    rng = np.random.default_rng([len(kind), len(transform or ""), len(form)])
    product = made_product(transform, RATIOS[form])
    scorer = random_scorer(kind, product, transform, rng)
    bend_of = bends(
        product.by_name["v"],
        product=product,
        scorer=scorer,
        application={"amount": 0, **APPLICATION},
    )
    intervals = random_intervals(rng, transform)
    found = bend_of(intervals)
    highest = ceiling(intervals, np.array([margin_along(scorer, e) for e in intervals]), found)
    for (low, high), second, corners, steps, top in zip(intervals.T, *found, highest, strict=True):
        values = np.linspace(low, high, 401)
        step = (high - low) / 400
        margins = margin_along(scorer, values)
        size = 1 + np.abs(margins).max()
        apart = np.abs(margins[2:] - 2 * margins[1:-1] + margins[:-2])
        assert apart.max() <= second * step**2 + corners * step + steps + 1e-11 * size
        assert margins.max() <= top + 1e-11 * size


def test_bends_see_each_source_of_a_bend():
    linear = made_product(None, RATIOS["clipped"])
    count = len(linear.inputs) + 1
    weights = np.zeros(count)
    weights[-1] = 2.0
    arrays = {"weights": weights, "intercept": np.float64(0)}
    scorer = made_scorer(linear, "linear", arrays, curves=0)
    known = {"amount": 0, **APPLICATION}
    bend_of = bends(linear.by_name["v"], product=linear, scorer=scorer, application=known)
    # v / 90 is clipped at -0.5 and 0.75, that is at v = -45 and v = 67.5.
    ends = np.array([[1, 60, 68, -50, -90], [60, 70, 90, -40, -46]], dtype=float)
    found = bend_of(ends)
    np.testing.assert_allclose(found.second, 0)
    np.testing.assert_allclose(found.corners, [0, 2 / 90, 0, 2 / 90, 0])
    np.testing.assert_allclose(found.steps, 0)


def test_bends_count_a_break_as_often_as_a_ratio_passes_it():
    # v (90 - v) rises above 1400 at v = 20 and falls below it at v = 70.
    product = made_product(None, ({"v": -1.0, "a": 1.0}, ("v",), (), *WIDE))
    arrays = {"weights": np.empty(0), "intercept": np.float64(0)}
    for i in range(len(product.inputs)):
        arrays |= {f"breaks_{i}": np.array([-9e3, 9e3]), f"pieces_{i}": np.zeros((2, 1))}
    arrays |= {"breaks_4": np.array([-9e3, 1400, 9e3]), "pieces_4": np.array([[0, 2.0], [0, 5.0]])}
    scorer = made_scorer(product, "linear", arrays, curves=5)
    known = {"amount": 0, **APPLICATION}
    bend_of = bends(product.by_name["v"], product=product, scorer=scorer, application=known)
    found = bend_of(np.array([[5.0, 10.0, 25.0], [15.0, 80.0, 26.0]]))
    assert found.steps.tolist() == [0, 10, 0]
    assert (found.corners >= [0, 2 * 2 * 50, 0]).all()


@pytest.mark.parametrize("missing", [{"b": None}, {"a": None}, {"b": 0}])
def test_bends_leave_out_a_ratio_that_is_missing_whatever_the_field_is(missing):
    product = made_product(None, RATIOS["sum"])
    weights = np.zeros(len(product.inputs) + 1)
    weights[-1] = 1.0
    arrays = {"weights": weights, "intercept": np.float64(0)}
    scorer = made_scorer(product, "linear", arrays, curves=0)
    ends = np.array([[1.0], [900.0]])
    flat = ceiling(ends, np.zeros((2, 1)), Bend(*np.zeros((3, 1))))
    for application, moves in ((missing, False), ({}, True)):
        known = {"amount": 0, **APPLICATION, **application}
        margins = scorer.margins({n: [x, x] for n, x in known.items()} | {"v": ends[:, 0]})
        assert (margins[0] != margins[1]) == moves
        bend_of = bends(product.by_name["v"], product=product, scorer=scorer, application=known)
        assert np.array_equal(ceiling(ends, np.zeros((2, 1)), bend_of(ends)), flat)


def test_bends_of_a_model_without_a_margin_are_refused():
    product = made_product(None, None)
    scorer = made_scorer(product, "pipeline", {}, pipeline=lambda frame: np.zeros(len(frame["v"])))
    known = {"amount": 0, **APPLICATION}
    with pytest.raises(ValueError, match="margin"):
        bends(product.by_name["v"], product=product, scorer=scorer, application=known)


@pytest.mark.parametrize(
    ("margins", "bend", "highest"),
    [
        ((0.0, 0.0), (0.0, 0.0, 0.0), 0.0),
        ((1.0, -3.0), (0.0, 0.0, 0.0), 1.0),
        ((0.0, 0.0), (2.0, 0.0, 0.0), 4.0),  # M h²/8
        ((0.0, 12.0), (2.0, 0.0, 0.0), 12.25),  # -x² + 7x is 0 and 12 at the ends, most at 3.5
        ((0.0, 20.0), (2.0, 0.0, 0.0), 20.0),  # too steep for the arch
        ((0.0, 0.0), (0.0, 3.0, 0.0), 3.0),  # a corner in the middle
        ((0.0, 0.0), (0.0, 0.0, 0.5), 0.5),
    ],
)
def test_ceiling_is_the_highest_that_a_function_so_bent_can_be(margins, bend, highest):
    ends = np.array([[3.0], [7.0]])
    column = np.array(margins)[:, None]
    assert ceiling(ends, column, Bend(*np.array(bend)[:, None])) == pytest.approx(highest)
    assert ceiling(ends[::-1], column[::-1], Bend(*np.array(bend)[:, None])) == pytest.approx(
        highest
    )
