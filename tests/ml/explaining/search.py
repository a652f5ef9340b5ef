"""Finds suggestions by brute force: scores every value alone, in plain Python."""

import io
import json

import numpy as np

from ml.explaining.counterfactual import Changes, Suggestion
from ml.product.definition import Product
from ml.scoring.scorer import Scorer
from ml.training.dataset import as_applications, read_rows


def real(product):
    """Return the rows of the product as applications."""
    return as_applications(read_rows(product, product.data_file).fields)


def ranges_of(product):
    fields = read_rows(product, product.data_file).fields
    return {
        f.name: (int(fields[f.name].min()), int(fields[f.name].max()))
        for f in product.inputs
        if f.kind == "integer"
    }


def changed(product, *, fields=None, **stated):
    """Return the product with other keys, and with other keys of some fields."""
    said = product.model_dump(exclude_unset=True) | stated
    for field in said["fields"]:
        field |= (fields or {}).get(field["name"], {})
    return Product.model_validate(said)


def refused(scorer, applications, *, count, threshold=0.5):
    """Return a sample of the refused applications, spread over all of them."""
    frame = {name: [a[name] for a in applications] for name in applications[0]}
    probability = scorer.score_many(frame)
    found = [a for a, p in zip(applications, probability, strict=True) if p < threshold]
    assert len(found) >= count
    return found[:: len(found) // count][:count]


def by_force(product, scorer, application, *, threshold, ranges):
    """Return the changes that `nearest_granted` must find."""
    values = {
        f.name: _values(f, product, application, ranges)
        for f in product.inputs
        if f.changeable and f.kind == "integer"
    }

    def first(candidates):
        for changes in candidates:
            other = application | changes
            if not _breaks_a_rule(product, other) and _within_limits(product, other):
                probability = scorer.score(other).probability
                if probability >= threshold:
                    return [Suggestion(changes, probability)]
        return []

    found = []
    for name, tried in values.items():
        applied = application[name]
        below = [v for v in reversed(tried) if applied is not None and v < applied]
        above = [v for v in tried if applied is None or v > applied]
        found += first({name: v} for v in below) + first({name: v} for v in above)
    if not found and product.amount in values:
        amounts = values.pop(product.amount)
        pairs = [
            (-amount, abs(v - (application[name] or 0)), v, name)
            for amount in amounts
            for name, tried in values.items()
            for v in tried
        ]
        pairs.sort(key=lambda pair: pair[:3])
        found = first({product.amount: -minus, name: v} for minus, _, v, name in pairs)
        values[product.amount] = amounts
    searched = {name: (min(tried), max(tried)) for name, tried in values.items() if tried}
    return Changes(found, searched)


def _values(field, product, application, ranges):
    applied = application[field.name]
    low, high = ranges[field.name]
    values = [
        v
        for v in range(max(low, field.minimum), min(high, field.maximum) + 1)
        if v % field.step == 0
        and v != applied
        and _within_limits(product, application | {field.name: v})
    ]
    return [v for v in values if v < applied] if field.name == product.amount else values


def _within_limits(product, application):
    return all(
        application[f.name] <= application[f.at_most]
        for f in product.inputs
        if f.at_most and None not in (application[f.name], application[f.at_most])
    )


def _breaks_a_rule(product, application):
    for rule in product.policy_rules:
        if None in {application[name] for name in rule.inputs}:
            return True
        value = sum(weight * application[name] for name, weight in rule.sum.items())
        for name in rule.times:
            value *= application[name]
        for name in rule.over:
            value /= application[name]
        if rule.below is not None and value < rule.below:
            return True
        if rule.above is not None and value > rule.above:
            return True
    return False


def altered(scorer_bytes, *, pipeline, **layout):
    """Return a Scorer from an export with another layout."""
    held = np.load(io.BytesIO(scorer_bytes))
    full = json.loads(str(held["layout"])) | layout
    content = io.BytesIO()
    np.savez(content, **({**held} | {"layout": np.array(json.dumps(full))}))
    return Scorer(content.getvalue(), pipeline=pipeline)
