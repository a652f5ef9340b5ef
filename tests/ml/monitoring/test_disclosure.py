"""Tests of the choice of groups whose figures may be kept."""

import numpy as np
import pytest

from ml.monitoring.disclosure import large_enough


@pytest.mark.parametrize(
    ("sizes", "total", "kept"),
    [
        ({"a": 100, "b": 50}, 250, {"a", "b"}),  # 100 did not answer
        ({"a": 100, "b": 29}, 250, {"a"}),
        ({"a": 100, "b": 30}, 130, {"a", "b"}),  # all of them are shown
        ({"a": 100, "b": 40, "c": 5}, 145, {"a"}),  # c could be computed: b hides it
        ({"a": 100, "b": 40, "c": 5}, 169, {"a"}),  # 24 did not answer
        ({"a": 100, "b": 40, "c": 5}, 175, {"a", "b"}),  # 30 did not answer
        ({"a": 100, "c": 5}, 105, set()),
        ({"a": 10, "b": 20}, 60, set()),
        ({}, 10, set()),
    ],
)
def test_groups_and_their_rest_are_large(sizes, total, kept):
    assert large_enough(sizes, total=total, smallest=30) == kept


def test_rest_is_never_a_few_people():
    random = np.random.default_rng(4)
    for _ in range(2_000):
        sizes = {str(i): int(n) for i, n in enumerate(random.integers(0, 60, random.integers(7)))}
        total = sum(sizes.values()) + int(random.integers(0, 40))
        kept = large_enough(sizes, total=total, smallest=20)
        assert all(sizes[name] >= 20 for name in kept)
        rest = total - sum(sizes[name] for name in kept)
        assert not kept or rest == 0 or rest >= 20
