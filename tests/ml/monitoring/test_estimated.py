"""Tests of the estimates of performance before outcomes are known."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from ml.evaluation.performance import figures
from ml.monitoring.estimated import MIN_GRANTED, NAMES, Decided, estimate, figures_of
from ml.monitoring.rows import TrainingRows, read_training_rows
from ml.training.dataset import read_rows

RATIO, THRESHOLD = 3.0, 0.6
REPEATS = 40


def decided(rows, some):
    probability = rows.probability[some]
    return Decided(probability, probability >= THRESHOLD, rows.matrix[some], probability)


def part(rows, some):
    return TrainingRows(rows.matrix[some], rows.probability[some], rows.good[some])


def realised(rows, some):
    probability = rows.probability[some]
    return figures_of(
        probability,
        rows.good[some].astype(float),
        granted=probability >= THRESHOLD,
        cost_ratio=RATIO,
    )


def shifted(random, rows, pool, *, count, strength):
    """Draw rows so that they have moved in a random direction of the columns."""
    moved = rows.matrix[pool] @ random.normal(size=rows.matrix.shape[1])
    moved = strength * (moved - moved.mean()) / moved.std() + random.gumbel(size=len(pool))
    return pool[np.argsort(-moved)[:count]]


@pytest.fixture(scope="module")
def shipped(product, bundle):
    """The shipped rows, with probabilities by a model that was not fitted on them."""
    fields, good = read_rows(product, product.data_file).data
    matrix = bundle.scorer.columns.matrix(fields)
    model = LogisticRegression(max_iter=1000)
    probability = cross_val_predict(model, matrix, good, cv=5, method="predict_proba")[:, 1]
    return TrainingRows(matrix, probability, good.astype(bool))


def test_figures_are_those_of_a_training():
    random = np.random.default_rng(3)
    probability = random.random(800)
    good = (random.random(800) < probability).astype(float)
    granted = probability >= THRESHOLD
    found = figures_of(probability, good, granted=granted, cost_ratio=RATIO)
    every = figures(good, probability, threshold=THRESHOLD, cost_ratio=RATIO)
    of_loans = figures(good[granted], probability[granted], threshold=THRESHOLD, cost_ratio=RATIO)
    assert found.accuracy == pytest.approx(every.accuracy)
    assert found.cost == pytest.approx(every.expected_cost)
    assert found.bad_share == pytest.approx(1 - of_loans.accuracy)
    assert found.brier == pytest.approx(of_loans.brier)
    assert found.roc_auc == pytest.approx(of_loans.roc_auc)


def test_figures_of_probabilities_are_the_means_of_possible_outcomes():
    random = np.random.default_rng(4)
    probability = random.uniform(0.3, 0.95, size=60)
    options = {"granted": probability >= THRESHOLD, "cost_ratio": RATIO}
    drawn = [
        list(
            vars(
                figures_of(probability, (random.random(60) < probability) * 1.0, **options)
            ).values()
        )
        for _ in range(4_000)
    ]
    expected = vars(figures_of(probability, probability, **options)).values()
    assert list(expected) == pytest.approx(np.mean(drawn, axis=0), abs=0.01)


def test_loans_of_one_kind_have_nothing_to_rank():
    one = figures_of(np.array([0.7, 0.8]), np.ones(2), granted=np.ones(2, bool), cost_ratio=RATIO)
    assert (one.bad_share, one.roc_auc) == (0.0, 0.5)


def test_bundle_keeps_its_training_rows(bundle, trained, origin):
    rows = read_training_rows(bundle)
    assert len(rows.matrix) == len(rows.good) == len(origin.rows.good)
    assert rows.good.tolist() == origin.rows.good.astype(bool).tolist()
    assert rows.probability == pytest.approx(trained.out_of_fold)
    assert rows.matrix == pytest.approx(bundle.scorer.columns.matrix(origin.rows.fields))
    probability, good = rows.granted(bundle.threshold)
    assert (probability >= bundle.threshold).all()
    assert len(good) == (rows.probability >= bundle.threshold).sum()


def test_without_a_shift_the_estimate_is_that_of_the_probabilities(shipped):
    random = np.random.default_rng(5)
    halves = np.array_split(random.permutation(len(shipped.good)), 2)
    found = estimate(
        decided(shipped, halves[1]), part(shipped, halves[0]), cost_ratio=RATIO, seed=0
    )
    assert found.trustworthy
    assert found.effective > 0.85 * len(halves[0])
    for name in NAMES:
        assert found.estimates[name].value == pytest.approx(getattr(found.plain, name), abs=0.03)


@pytest.mark.parametrize("strength", [0.0, 1.2])
def test_interval_holds_the_realised_figures_as_often_as_it_says(shipped, strength):
    """Of 40 intervals at 95 %, fewer than 33 hold the figure in less than one case in 1,000."""
    random = np.random.default_rng(6)
    held = dict.fromkeys(("bad_share", "accuracy", "cost", "brier"), 0)
    for seed in range(REPEATS):
        order = random.permutation(len(shipped.good))
        training, pool = np.array_split(order, 2)
        some = shifted(random, shipped, pool, count=500, strength=strength)
        found = estimate(
            decided(shipped, some), part(shipped, training), cost_ratio=RATIO, seed=seed
        )
        real = realised(shipped, some)
        for name in held:
            interval = found.estimates[name]
            held[name] += interval.low <= getattr(real, name) <= interval.high
    assert min(held.values()) >= 33, held


def test_weights_correct_what_the_probabilities_get_wrong():
    """The model does not know one column, on which it depends whether loans are good."""
    random = np.random.default_rng(7)

    def drawn(count, mean):
        matrix = np.column_stack([random.normal(size=count), random.normal(mean, 1, size=count)])
        true = 1 / (1 + np.exp(-(1 + matrix[:, 0] - 1.5 * matrix[:, 1])))
        return matrix, random.random(count) < true

    matrix, good = drawn(3_000, 0.0)
    model = LogisticRegression().fit(matrix[:, :1], good)
    training = TrainingRows(matrix, model.predict_proba(matrix[:, :1])[:, 1], good)
    matrix, good = drawn(2_000, 0.7)
    arrived = TrainingRows(matrix, model.predict_proba(matrix[:, :1])[:, 1], good)
    everything = np.arange(len(good))
    found = estimate(decided(arrived, everything), training, cost_ratio=RATIO, seed=0)
    real = realised(arrived, everything)
    bad = found.estimates["bad_share"]
    assert bad.low <= real.bad_share <= bad.high
    assert bad.value - found.plain.bad_share > 0.1
    assert real.bad_share - found.plain.bad_share > 0.1


def test_applications_of_another_kind_are_not_trusted(shipped):
    far = TrainingRows(shipped.matrix + 4.0, shipped.probability, shipped.good)
    found = estimate(decided(far, np.arange(300)), shipped, cost_ratio=RATIO, seed=0)
    assert not found.trustworthy


def test_too_few_granted_loans_have_no_estimate(shipped):
    low = np.flatnonzero(shipped.probability < THRESHOLD)[:200]
    high = np.flatnonzero(shipped.probability >= THRESHOLD)[: MIN_GRANTED - 1]
    some = np.concatenate([low, high])
    assert estimate(decided(shipped, some), shipped, cost_ratio=RATIO, seed=0) is None


def test_same_seed_gives_the_same_estimate(shipped):
    some = decided(shipped, np.arange(300))
    found = [estimate(some, shipped, cost_ratio=RATIO, seed=seed) for seed in (1, 1, 2)]
    assert found[0] == found[1]
    assert found[0] != found[2]
