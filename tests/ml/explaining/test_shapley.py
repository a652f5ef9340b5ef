"""Tests of ml/explaining/shapley.py on fitted models."""

from math import comb

import numpy as np
import pandas as pd
import pytest

from ml.explaining.reasons import Explainer
from ml.product.application import as_columns
from ml.product.samples import UNSEEN
from ml.training.reference import BACKGROUND_ROWS

EXACT = 1e-9


def brute_force(product, margins, background, application):
    """Compute Shapley values by definition, from the mean margin of every coalition."""
    players = [[n for n in p if n in product.by_name] for p in product.players.values()]
    count = len(players)
    coalitions = np.arange(2**count)
    inside = (coalitions[:, None] >> np.arange(count)) & 1
    whose = np.arange(len(background))
    # Equal rows are scored once: coalitions give equal rows if applicant and background agree.
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
    this = case("consumer_credit", name)
    applicants = this.applicants(20)
    answers = [value for a in applicants for value in a.values()]
    assert len(this.background) == BACKGROUND_ROWS["rbf"]
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
    this = case("consumer_credit", name)
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
    """Compute the shares of a product of factors from coalitions by size, without quadrature."""

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
    columns = np.array(this.scorer.columns.names)
    groups = [
        np.flatnonzero(np.isin(columns, members)) for members in this.product.players.values()
    ]
    rows = this.scorer.columns.matrix(as_columns(this.background))
    for application in this.applicants(20)[::7]:
        row = this.scorer.columns.matrix(as_columns([application]))[0]
        expected = by_sizes(this.scorer.margin, rows, row, groups)
        shares = explained(explainer, application)[1]
        assert_alike(shares, dict(zip(this.product.players, expected.tolist(), strict=True)))


def test_shares_of_a_pipeline_equal_brute_force(case):
    this = case("consumer_credit", "boosting")
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
    this = case("consumer_credit", "boosting")
    [one] = this.background[:1]
    explainer = Explainer(this.product, this.scorer, [one])
    [application] = this.applicants(1)
    expected = brute_force(this.product, this.scorer.margins, [one], application)
    assert_alike(explained(explainer, application)[1], expected)
    assert_alike(explained(explainer, one)[1], dict.fromkeys(this.product.players, 0.0))
