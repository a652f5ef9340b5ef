"""Rows with given counts of decisions, for the tests of fairness."""

import json

import numpy as np
import pandas as pd

from ml.evaluation.fairness import assess
from ml.evaluation.fairness_reports import FairnessReport
from ml.product.tolerances import Fairness

EVEN = (40, 10, 10, 40)  # good granted, good refused, bad granted, bad refused


def rows(column, counts):
    """Return rows with the given counts of each value, in the order of EVEN.

    Each row's probability is the share of good ones of its value, so all groups are calibrated.
    """
    values, good, granted = [], [], []
    for value, (good_granted, good_refused, bad_granted, bad_refused) in counts.items():
        values += [value] * (good_granted + good_refused + bad_granted + bad_refused)
        good += [1] * (good_granted + good_refused) + [0] * (bad_granted + bad_refused)
        granted += [True] * good_granted + [False] * good_refused
        granted += [True] * bad_granted + [False] * bad_refused
    good, frame = np.array(good), pd.DataFrame({column: values})
    fitting = pd.Series(good).groupby(frame[column], dropna=False).transform("mean").to_numpy()
    return frame, {"good": good, "granted": np.array(granted), "probability": fitting}


def groups_of(product, column, counts, **limits):
    """Assess rows with these counts; return the only attribute and its groups by name."""
    frame, answers = rows(column, counts)
    found = assess(product, frame, **answers, limits=Fairness(**limits))
    written = json.dumps(found.model_dump(mode="json"), allow_nan=False)
    assert FairnessReport.model_validate_json(written) == found
    (attribute,) = found.attributes
    return attribute, {g.name: g for g in attribute.groups}
