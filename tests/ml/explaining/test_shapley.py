"""What ml/explaining/shapley.py promises."""

import dataclasses
from math import comb

import numpy as np
import pandas as pd
import pytest

from ml.explaining.reasons import Explainer
from ml.explaining.shapley import KernelShares, LinearShares
from ml.product.application import as_columns
from ml.product.definition import Product, read_product
from ml.product.samples import UNSEEN, examples
from ml.scoring.margins import KernelMargin, LinearMargin
from ml.scoring.scorer import Scorer
from ml.training.candidates import candidates
from ml.training.dataset import as_applications, read_rows
from ml.training.export import export_scorer
from ml.training.reference import background
from ml.training.train import DEFAULT, SEED, fit

ROWS = 300
EXACT = 1e-9
SMALL = {"classify__max_iter": [10], "classify__max_leaf_nodes": [4]}
SECOND_RATIO = {
    "name": "payment_to_income",
    "label": {"en": "Payment to income", "fr": "Mensualité rapportée au revenu"},
    "sum": {"loan_amount": 1},
    "over": ["loan_term_months", "monthly_income"],
    "minimum": 0.0,
    "maximum": 2.0,
}
EIGHT = (
    "loan_amount",
    "loan_term_months",
    "property_type",
    "cosigner",
    "liquid_assets",
    "net_worth",
    "credit_history_meets_guidelines",
    "consumer_credit_history",
)


def varied(name, **changes):
    """A shipped product with other fields or ratios."""
    return Product.model_validate(stated(read_product(name)) | changes)


def stated(part):
    return part.model_dump(exclude_unset=True)


@pytest.fixture(scope="module")
def products():
    plain = read_product("consumer_credit")
    mortgage = read_product("mortgage")
    return {
        "shipped": plain,
        "tied": varied(plain.name, ratios=[*stated(plain)["ratios"], SECOND_RATIO]),
        "reduced": varied(
            mortgage.name, fields=[stated(f) for f in mortgage.fields if f.name in EIGHT]
        ),
        "mortgage": mortgage,
    }


class Case:
    """A fitted model, and what an explanation of it compares with."""

    def __init__(self, product, name):
        self.product = product
        self.fields, good = read_rows(product, product.data_file)
        candidate = next(c for c in candidates(product, seed=SEED) if c.name == name)
        grid = SMALL if name == "boosting" else {k: v[:1] for k, v in candidate.grid.items()}
        self.model, _ = fit(
            dataclasses.replace(candidate, grid=grid),
            product,
            (self.fields.iloc[:ROWS], good[:ROWS]),
            effort=DEFAULT,
            seed=SEED,
        )
        self.scorer = Scorer(
            export_scorer(self.model),
            pipeline=lambda frame: self.model.predict_proba(pd.DataFrame(frame))[:, 1],
        )
        self.probability = self.scorer.score_many(self.fields)
        self.background = background(self.fields, self.probability, threshold=0.5)

    def applicants(self, count):
        """Half of them real and refused, half random with missing values and unseen words."""
        refused = as_applications(self.fields[self.probability < 0.5].head(count // 2))
        rest = count - len(refused)
        return [*refused, *examples(self.product, count=rest, seed=1, unseen=True)]

    def scikit_learn(self, frame):
        """The margin as the fitted pipeline itself has it."""
        raw = self.model.named_steps["columns"].transform(pd.DataFrame(frame))
        return (
            self.model.named_steps["calibrated"]
            .calibrated_classifiers_[0]
            .estimator.decision_function(raw)
        )


@pytest.fixture(scope="module")
def case(products):
    """Cases by product and candidate, each fitted when it is first asked for."""
    made = {}

    def get(which, name):
        if (which, name) not in made:
            made[which, name] = Case(products[which], name)
        return made[which, name]

    return get


def brute_force(product, margins, background, application):
    """Shapley values as they are defined: the mean margin of every coalition, from raw fields."""
    players = [[n for n in p if n in product.by_name] for p in product.players.values()]
    count = len(players)
    coalitions = np.arange(2**count)
    inside = (coalitions[:, None] >> np.arange(count)) & 1
    whose = np.arange(len(background))
    # Rows that are the same are computed once: a value that both have makes no difference.
    differ = np.array(
        [[any(b[n] != application[n] for n in player) for player in players] for b in background]
    )
    rows = (coalitions[:, None] & (differ << np.arange(count)).sum(axis=1)) * len(whose) + whose
    distinct, at = np.unique(rows, return_inverse=True)
    mixed, other = inside[distinct // len(whose)], distinct % len(whose)
    frame = {}
    for number, player in enumerate(players):
        for name in player:
            theirs = np.array([b[name] for b in background], dtype=object)[other]
            frame[name] = np.where(mixed[:, number] == 1, application[name], theirs)
    worth = margins(frame)[at].reshape(rows.shape).mean(axis=1)
    shares = {}
    for number, player in enumerate(product.players):
        without = coalitions[inside[:, number] == 0]
        weights = np.array([1 / comb(count - 1, size) for size in inside[without].sum(axis=1)])
        gains = worth[without | (1 << number)] - worth[without]
        shares[player] = float(gains @ weights) / count
    return shares


def explained(explainer, application):
    explanation = explainer.explain(application, granted=False)
    return explanation, {reason.field: reason.share for reason in explanation.reasons}


def assert_alike(found, expected):
    assert found.keys() == expected.keys()
    for player, share in expected.items():
        assert found[player] == pytest.approx(share, rel=0, abs=EXACT), player


@pytest.mark.parametrize("name", ["svc_linear", "svc_rbf", "logistic"])
def test_shares_equal_brute_force_over_all_coalitions(case, name):
    this = case("shipped", name)
    applicants = this.applicants(50)
    answers = [value for a in applicants for value in a.values()]
    assert len(applicants) == len(this.background) == 50
    assert None in answers
    assert UNSEEN in answers
    explainer = Explainer(this.product, this.scorer, this.background)
    base = this.scorer.margins(as_columns(this.background)).mean()
    for application in applicants:
        explanation, shares = explained(explainer, application)
        expected = brute_force(this.product, this.scorer.margins, this.background, application)
        assert_alike(shares, expected)
        margin = this.scorer.margins(as_columns([application]))[0]
        assert sum(shares.values()) == pytest.approx(margin - base, rel=0, abs=EXACT)
        found = (explanation.margin, explanation.base)
        assert found == pytest.approx((margin, base), rel=0, abs=EXACT)


@pytest.mark.parametrize("name", ["svc_linear", "svc_rbf", "logistic"])
def test_shares_equal_brute_force_by_scikit_learn(case, name):
    this = case("shipped", name)
    few = this.background[::10]
    explainer = Explainer(this.product, this.scorer, few)
    for application in this.applicants(50)[::17]:
        expected = brute_force(this.product, this.scikit_learn, few, application)
        assert_alike(explained(explainer, application)[1], expected)


@pytest.mark.parametrize("name", ["svc_linear", "svc_rbf"])
@pytest.mark.parametrize(("which", "count"), [("tied", 8), ("reduced", 8)])
def test_shares_of_other_products_equal_brute_force(case, which, count, name):
    this = case(which, name)
    assert len(this.product.players) == count
    explainer = Explainer(this.product, this.scorer, this.background)
    for application in this.applicants(20):
        expected = brute_force(this.product, this.scorer.margins, this.background, application)
        assert_alike(explained(explainer, application)[1], expected)


@pytest.mark.parametrize("name", ["svc_linear", "svc_rbf"])
def test_shares_of_a_product_without_a_ratio_add_up(case, name):
    this = case("mortgage", name)
    assert len(this.product.players) == len(this.product.inputs) == 21
    explainer = Explainer(this.product, this.scorer, this.background)
    for application in this.applicants(20):
        explanation, shares = explained(explainer, application)
        moved = explanation.margin - explanation.base
        assert sum(shares.values()) == pytest.approx(moved, rel=0, abs=EXACT)
        assert abs(moved) > 1e-3


def by_sizes(margin, background, row, groups):
    """The shares of a product over players, its coalitions summed by size: no quadrature in it."""

    def factors(matrix):
        apart = (matrix[:, None, :] - margin.vectors) ** 2
        return [np.exp(-margin.gamma * apart[:, :, list(g)].sum(axis=2)) for g in groups]

    own, theirs = factors(row[None]), factors(background)
    count = len(groups)
    shares = []
    for j in range(count):
        sums = np.zeros((count, *theirs[0].shape))  # by how many of the others are the applicant's
        sums[0] = 1
        for other in set(range(count)) - {j}:
            sums[1:] = sums[1:] * theirs[other] + sums[:-1] * own[other]
            sums[0] = sums[0] * theirs[other]
        weights = [1 / (count * comb(count - 1, size)) for size in range(count)]
        rest = np.tensordot(weights, sums, axes=1)
        shares.append(((own[j] - theirs[j]) * rest @ margin.dual).mean())
    return np.array(shares)


def test_shares_of_21_players_equal_the_sum_by_coalition_size(case):
    this = case("mortgage", "svc_rbf")
    explainer = Explainer(this.product, this.scorer, this.background)
    columns = np.array(this.scorer.columns)
    groups = [
        np.flatnonzero(np.isin(columns, members)) for members in this.product.players.values()
    ]
    rows = this.scorer.matrix(as_columns(this.background))
    for application in this.applicants(20)[::7]:
        row = this.scorer.matrix(as_columns([application]))[0]
        expected = by_sizes(this.scorer.margin, rows, row, groups)
        shares = explained(explainer, application)[1]
        assert_alike(shares, dict(zip(this.product.players, expected.tolist(), strict=True)))


def test_shares_of_a_pipeline_equal_brute_force(case):
    this = case("shipped", "boosting")
    assert this.scorer.kind == "pipeline"
    few = this.background[::10]
    explainer = Explainer(this.product, this.scorer, few)

    def log_odds(frame):
        probability = this.model.predict_proba(pd.DataFrame(frame))[:, 1]
        return np.log(probability / (1 - probability))

    for application in this.applicants(50)[::17]:
        explanation, shares = explained(explainer, application)
        assert_alike(shares, brute_force(this.product, log_odds, few, application))
        moved = log_odds(as_columns([application]))[0] - log_odds(as_columns(few)).mean()
        assert sum(shares.values()) == pytest.approx(moved, rel=0, abs=EXACT)
        assert explanation.margin - explanation.base == pytest.approx(moved, rel=0, abs=EXACT)


def test_shares_of_a_pipeline_with_one_background_row(case):
    this = case("shipped", "boosting")
    [one] = this.background[:1]
    explainer = Explainer(this.product, this.scorer, [one])
    [application] = this.applicants(1)
    expected = brute_force(this.product, this.scorer.margins, [one], application)
    assert_alike(explained(explainer, application)[1], expected)
    assert_alike(explained(explainer, one)[1], dict.fromkeys(this.product.players, 0.0))


def members_of(product):
    return [name for player in product.players.values() for name in player]


@pytest.mark.parametrize("name", ["svc_linear", "svc_rbf"])
def test_effects_are_what_one_value_from_the_background_loses(case, name):
    this = case("shipped", name)
    explainer = Explainer(this.product, this.scorer, this.background)
    columns, members = np.array(this.scorer.columns), members_of(this.product)
    rows = this.scorer.matrix(as_columns(this.background))
    some = [5, 0, 1, 2, 11]
    for application in this.applicants(50)[::17]:
        row = this.scorer.matrix(as_columns([application]))[0]
        effects = explainer._shares.effects(application, row, some)
        assert effects.shape == (len(rows), len(some))
        for other, lost in zip(rows, effects, strict=True):
            mixed = [np.where(columns == members[m], other, row) for m in some]
            margins = [this.scorer.margin.one(m) for m in mixed]
            expected = this.scorer.margin.one(row) - np.array(margins)
            np.testing.assert_allclose(lost, expected, rtol=0, atol=EXACT)


def test_effects_of_a_pipeline_are_those_of_fields_alone(case):
    this = case("shipped", "boosting")
    few = this.background[:5]
    explainer = Explainer(this.product, this.scorer, few)
    members = members_of(this.product)
    for application in this.applicants(50)[::17]:
        row = this.scorer.matrix(as_columns([application]))[0]
        effects = explainer._shares.effects(application, row, range(len(members)))
        assert effects.shape == (len(few), len(members))
        for name, lost in zip(members, effects.T, strict=True):
            if name not in application:
                assert set(lost) == {0.0}  # a ratio cannot change by itself
                continue
            changed = [application, *(application | {name: other[name]} for other in few)]
            before, *after = this.scorer.margins(as_columns(changed))
            np.testing.assert_allclose(lost, before - np.array(after), rtol=0, atol=EXACT)


# From here on the model is made up: what matters is the arithmetic at its ends.


def kernel(columns, *, vectors=40, gamma=0.1, seed=0):
    rng = np.random.default_rng(seed)
    arrays = {
        "vectors": rng.normal(size=(vectors, columns)),
        "dual": rng.normal(size=vectors),
        "intercept": np.float64(0.3),
        "gamma": np.float64(gamma),
    }
    return KernelMargin(arrays)


def linear(columns):
    rng = np.random.default_rng(1)
    return LinearMargin(
        {
            "weights": rng.normal(size=columns - 1),
            "intercept": np.float64(0.3),
            "breaks_0": np.array([-1.0, 0.0, 1.0]),
            "pieces_0": rng.normal(size=(3, 2)),
        },
        curves=1,
    )


def shares_of(margin, rows, row):
    """By a method of ml/shapley.py, each column a player."""
    alone = [[i] for i in range(len(row))]
    method = KernelShares if isinstance(margin, KernelMargin) else LinearShares
    against = method(margin, rows, members=alone, players=alone).shares({}, row)
    assert against.shape == rows.shape
    return against.mean(axis=0)


def enumerated(margin, rows, row):
    """The same by its definition, on columns."""
    count = len(row)
    inside = ((np.arange(2**count)[:, None] >> np.arange(count)) & 1) == 1
    worth = np.array([np.mean([margin.one(r) for r in np.where(s, row, rows)]) for s in inside])
    shares = np.zeros(count)
    for coalition, members in enumerate(inside):
        for j in np.flatnonzero(~members):
            gain = worth[coalition | (1 << int(j))] - worth[coalition]
            shares[j] += gain / (count * comb(count - 1, int(members.sum())))
    return shares


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("make", [kernel, linear])
def test_shares_of_so_many_players(make, count):
    rng = np.random.default_rng(count)
    margin, rows, row = make(count), rng.normal(size=(4, count)), rng.normal(size=count)
    found = shares_of(margin, rows, row)
    np.testing.assert_allclose(found, enumerated(margin, rows, row), rtol=0, atol=1e-12)
    assert np.abs(found).min() > 0


@pytest.mark.parametrize("make", [kernel, linear])
def test_shares_against_each_background_row_are_those_against_it_alone(make):
    rng = np.random.default_rng(4)
    margin, rows, row = make(5), rng.normal(size=(3, 5)), rng.normal(size=5)
    alone = [[i] for i in range(5)]
    method = KernelShares if isinstance(margin, KernelMargin) else LinearShares
    against = method(margin, rows, members=alone, players=alone).shares({}, row)
    for found, other in zip(against, rows, strict=True):
        expected = enumerated(margin, other[None], row)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", [kernel, linear])
def test_shares_with_one_background_row(make):
    rng = np.random.default_rng(5)
    margin, rows, row = make(5), rng.normal(size=(1, 5)), rng.normal(size=5)
    found = shares_of(margin, rows, row)
    np.testing.assert_allclose(found, enumerated(margin, rows, row), rtol=0, atol=1e-12)


@pytest.mark.parametrize("same", [[0], [1, 2], [0, 2, 4], [0, 1, 2, 3]])
@pytest.mark.parametrize("make", [kernel, linear])
def test_shares_of_players_equal_to_a_background_row(make, same):
    rng = np.random.default_rng(6)
    margin, rows, row = make(5), rng.normal(size=(3, 5)), rng.normal(size=5)
    rows[1, same] = row[same]  # so they differ in number from one background row to the next
    found = shares_of(margin, rows, row)
    np.testing.assert_allclose(found, enumerated(margin, rows, row), rtol=0, atol=1e-12)
    rows[:, same] = row[same]
    found = shares_of(margin, rows, row)
    assert set(found[same]) == {0.0}
    np.testing.assert_allclose(found, enumerated(margin, rows, row), rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", [kernel, linear])
def test_shares_of_an_applicant_equal_to_the_whole_background(make):
    row = np.random.default_rng(7).normal(size=5)
    assert set(shares_of(make(5), np.stack([row, row]), row)) == {0.0}


@pytest.mark.parametrize(
    "far",
    [
        {"row": 1e6, "rows": 0},  # every factor of the applicant is 0
        {"row": 0, "rows": 1e6},  # every factor of the background is 0
        {"row": 1e6, "rows": -1e6},  # both
        {"row": 60, "rows": 0},  # factors near 1e-157, whose products are 0
    ],
)
def test_shares_where_factors_underflow(far):
    rng = np.random.default_rng(8)
    margin = kernel(5)
    rows, row = rng.normal(size=(3, 5)) + far["rows"], rng.normal(size=5) + far["row"]
    rows[0] -= far["rows"]  # one row near, so that something is left to share
    expected = enumerated(margin, rows, row)
    found = shares_of(margin, rows, row)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert np.isfinite(found).all()
    assert np.abs(found).max() > 0
    moved = margin.one(row) - margin.many(rows).mean()
    assert found.sum() == pytest.approx(moved, rel=0, abs=1e-12)


def test_shares_where_one_players_factor_underflows():
    rng = np.random.default_rng(9)
    margin, rows, row = kernel(4), rng.normal(size=(3, 4)), rng.normal(size=4)
    row[2] = 1e4
    found = shares_of(margin, rows, row)
    np.testing.assert_allclose(found, enumerated(margin, rows, row), rtol=0, atol=1e-12)


def test_shares_are_the_same_again_and_leave_the_background_alone():
    rng = np.random.default_rng(10)
    margin, rows, row = kernel(6), rng.normal(size=(4, 6)), rng.normal(size=6)
    alone = [[i] for i in range(6)]
    method = KernelShares(margin, rows, members=alone, players=alone)
    before = rows.copy()
    first = method.shares({}, row)
    method.shares({}, -row)
    assert np.array_equal(method.shares({}, row), first)
    assert np.array_equal(rows, before)
