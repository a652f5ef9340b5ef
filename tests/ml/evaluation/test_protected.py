"""Tests of the groups of protected fields."""

import pytest

from ml.evaluation.protected import group_of, groups_of, has_groups


@pytest.fixture
def fields(product, mortgage):
    return {f.name: f for f in (*product.protected, *mortgage.protected)}


@pytest.mark.parametrize(
    ("name", "value", "group"),
    [
        ("protected_age", "18", "under_25"),
        ("protected_age", "24", "under_25"),
        ("protected_age", "25", "25_to_34"),
        ("protected_age", "61", "55_to_61"),
        ("protected_age", "62", "62_and_over"),
        ("protected_age", "100", "62_and_over"),
        ("protected_age", "-3", "under_25"),
        ("protected_age", "old", None),
        ("protected_age", "", None),
        ("protected_dependents", "0", "0"),
        ("protected_dependents", "2", "2"),
        ("protected_dependents", "7", "3_and_over"),
        ("protected_marital_status", "widowed", "widowed"),
        ("protected_marital_status", "other", None),
        ("protected_married", "1", "yes"),
        ("protected_married", "0", "no"),
        ("protected_married", "yes", None),
    ],
)
def test_value_belongs_to_a_group(fields, name, value, group):
    assert group_of(fields[name], value) == group
    if group:
        assert group in [g.name for g in groups_of(fields[name])]


def test_number_without_bands_has_no_groups(fields):
    age = fields["protected_age"]
    assert has_groups(age)
    assert not has_groups(age.model_copy(update={"bands": ()}))
    assert has_groups(fields["protected_married"])
