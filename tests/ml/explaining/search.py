"""Counterfactuals by trying every value, with which the quick search is compared."""

import io
import json

import numpy as np

from ml.explaining.counterfactual import Counterfactual, nearest_granted
from ml.product.definition import Product
from ml.scoring.scorer import Scorer
from ml.training.dataset import read_rows


def real(product):
    """The applications of the product's rows."""
    fields = read_rows(product, product.data_file).fields
    rows = fields.astype(object).where(fields.notna(), None).to_dict("records")
    return [{n: int(v) if isinstance(v, float) else v for n, v in row.items()} for row in rows]


def ranges_of(product):
    fields = read_rows(product, product.data_file).fields
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
