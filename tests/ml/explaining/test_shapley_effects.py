"""Tests of ml/explaining/shapley.py: the effects of replacing one value."""

import numpy as np

from ml.explaining.reasons import Explainer
from ml.product.application import as_columns

EXACT = 1e-9


def members_of(product):
    return [name for player in product.players.values() for name in player]


def test_effects_are_what_one_value_from_the_background_loses(case):
    this = case("consumer_credit", "svc_rbf")
    explainer = Explainer(this.product, this.scorer, this.background)
    columns, members = np.array(this.scorer.columns.names), members_of(this.product)
    rows = this.scorer.columns.matrix(as_columns(this.background))
    some = [5, 0, 1, 2, 11]
    for application in this.applicants(50)[::17]:
        row = this.scorer.columns.matrix(as_columns([application]))[0]
        effects = explainer._method._shares.effects(application, row, some)
        assert effects.shape == (len(rows), len(some))
        for other, lost in zip(rows, effects, strict=True):
            mixed = [np.where(columns == members[m], other, row) for m in some]
            margins = [this.scorer.margin.one(m) for m in mixed]
            expected = this.scorer.margin.one(row) - np.array(margins)
            np.testing.assert_allclose(lost, expected, rtol=0, atol=EXACT)


def test_effects_of_a_pipeline_are_those_of_fields_alone(case):
    this = case("consumer_credit", "boosting")
    few = this.background[:5]
    explainer = Explainer(this.product, this.scorer, few)
    members = members_of(this.product)
    for application in this.applicants(50)[::17]:
        row = this.scorer.columns.matrix(as_columns([application]))[0]
        effects = explainer._method._shares.effects(application, row, range(len(members)))
        assert effects.shape == (len(few), len(members))
        for name, lost in zip(members, effects.T, strict=True):
            if name not in application:
                assert set(lost) == {0.0}  # a ratio cannot change by itself
                continue
            changed = [application, *(application | {name: other[name]} for other in few)]
            before, *after = this.scorer.margins(as_columns(changed))
            np.testing.assert_allclose(lost, before - np.array(after), rtol=0, atol=EXACT)
