"""Tests of ml/explaining/linear.py against the same sums computed row by row."""

import numpy as np
import pytest

from ml.explaining.attribution import RowByRow
from ml.explaining.linear import LinearAttribution
from ml.explaining.reasons import ROUNDING
from ml.product.application import as_columns

CLOSE = {"rtol": 0, "atol": ROUNDING / 100}


class ByDefinition:
    """The shares of a linear margin against each background row, as matrices."""

    def __init__(self, margin, background, *, members, players):
        self._margin, self._members, self._players = margin, members, players
        self._background = self._terms(background)

    def _terms(self, matrix):
        terms = self._margin.terms(matrix)
        return np.column_stack([terms[:, columns].sum(axis=1) for columns in self._members])

    def effects(self, application, row, members):
        return (self._terms(row[None]) - self._background)[:, members]

    def shares(self, application, row):
        effects = self.effects(application, row, range(len(self._members)))
        return np.column_stack([effects[:, player].sum(axis=1) for player in self._players])


def methods(this):
    """Return the method, its reference and the background."""
    names = [name for player in this.product.players.values() for name in player]
    columns = np.array(this.scorer.columns.names)
    rows = this.scorer.columns.matrix(as_columns(this.background))
    groups = {
        "members": [np.flatnonzero(columns == name).tolist() for name in names],
        "players": [[names.index(n) for n in p] for p in this.product.players.values()],
    }
    margin = this.scorer.margin
    reference = RowByRow(ByDefinition(margin, rows, **groups), rows, **groups)
    return LinearAttribution(margin, rows, **groups), reference, rows


@pytest.mark.parametrize("which", ["consumer_credit", "mortgage", "tied", "reduced"])
def test_attribution_equals_that_row_by_row(case, which):
    this = case(which, "svc_linear")
    method, reference, rows = methods(this)
    applicants = [this.scorer.row(application) for application in this.applicants(60)]
    for row in [*applicants, *rows[:20].tolist()]:
        found, expected = method.attribute({}, row), reference.attribute({}, row)
        for part, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(part, other, **CLOSE)


def test_attribution_against_equal_rows(case):
    """What is 0 is exactly 0: the order of equal shares must not depend on rounding errors."""
    this = case("consumer_credit", "svc_linear")
    row = this.scorer.row(this.refused[0])
    names = list(dict.fromkeys(this.scorer.columns.names))
    columns = np.array(this.scorer.columns.names)
    members = [np.flatnonzero(columns == name).tolist() for name in names]
    players = [[m] for m in range(len(members))]
    for count in (1, 3, 7, 200):
        rows = np.tile(row, (count, 1))
        method = LinearAttribution(this.scorer.margin, rows, members=members, players=players)
        found = method.attribute({}, row)
        assert set(found.shares) | set(found.effects) == {0.0}
        assert set(found.lower) | set(found.higher) == {0.0}


@pytest.mark.parametrize("which", ["consumer_credit", "mortgage", "tied", "reduced"])
def test_attribute_each_equals_attribute(case, which):
    this = case(which, "svc_linear")
    method, _, rows = methods(this)
    some = [*(this.scorer.row(a) for a in this.applicants(60)), *rows[:20].tolist()]
    each = method.attribute_each([{}] * len(some), some)
    for found, row in zip(each, some, strict=True):
        for part, other in zip(found, method.attribute({}, row), strict=True):
            assert {*map(type, part)} == {float}
            np.testing.assert_allclose(part, other, **CLOSE)
