"""Tests of ml/training/omissions.py."""

import numpy as np
import pandas as pd
import pytest

from ml.bundle.facts import MAX_GRANTED_BY_OMISSION, Omission
from ml.product.samples import examples
from ml.product.texts import Text
from ml.training.dataset import as_applications
from ml.training.omissions import omissions
from tests.fixtures.models import scorer_of
from tests.ml.training.planted import quick


def test_omissions_are_counted_as_one_by_one(bundle, origin):
    fields = origin.rows.fields
    found = omissions(bundle.product, bundle.scorer, fields, threshold=bundle.threshold)
    assert found == bundle.manifest.omissions
    assert [o.field for o in found] == ["monthly_income", "assets", "outstanding_debt"]
    for omission in found:
        refused = granted = 0
        for application in as_applications(fields):
            if bundle.scorer.score(application).probability >= bundle.threshold:
                continue
            if application[omission.field] is not None:
                refused += 1
                without = bundle.scorer.score(application | {omission.field: None})
                granted += without.probability >= bundle.threshold
        assert (omission.refused, omission.granted) == (refused, granted)
        assert refused > 50


def test_omission_of_an_answer_whose_absence_goes_with_good_rows(product):
    """Rows with debts are bad, and rows without the answer are good."""
    fields = pd.DataFrame(examples(product, count=300, seed=5))
    rng = np.random.default_rng(5)
    good = rng.integers(0, 2, 300)
    fields["outstanding_debt"] = np.where(good == 1, np.nan, rng.integers(1, 250_000, 300))
    scorer = scorer_of(quick(product, (fields, good), unbound=True))
    found = {o.field: o for o in omissions(product, scorer, fields, threshold=0.5)}
    assert found["outstanding_debt"].share > 0.9
    assert found["outstanding_debt"].excessive
    assert found["assets"].share < 0.05
    assert not found["assets"].excessive
    # A model that keeps to the directions counts a missing answer no more than the worst one.
    scorer = scorer_of(quick(product, (fields, good)))
    assert [o.granted for o in omissions(product, scorer, fields, threshold=0.5)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("granted", "refused", "share", "excessive"),
    [(0, 0, 0.0, False), (1, 20, 0.05, False), (6, 100, 0.06, True)],
)
def test_omission_is_excessive_above_the_stated_share(granted, refused, share, excessive):
    omission = Omission(
        field="debt", label=Text(en="Debt", fr="Dette"), refused=refused, granted=granted
    )
    assert omission.share == pytest.approx(share)
    assert omission.excessive is excessive
    assert MAX_GRANTED_BY_OMISSION == 0.05
