"""Tests of the bins of fields and scores."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from ml.bundle.manifest import REFERENCE, InvalidBundle
from ml.card.card import card_content
from ml.monitoring.bins import (
    SCORE_BINS,
    FieldBins,
    read_reference,
    reference_of,
    score_bins,
)
from ml.product.application import as_columns
from ml.training.dataset import as_applications


@pytest.fixture(scope="module")
def columns(origin):
    return as_columns(as_applications(origin.rows.fields))


@pytest.fixture(scope="module")
def reference(product, columns, trained):
    return reference_of(product, columns, trained.out_of_fold, unusual=0.04)


def test_bundle_holds_the_reference_of_its_training_rows(bundle, reference):
    held, worth = read_reference(bundle), card_content(bundle).novelty
    assert held.model_copy(update={"unusual": 0.04}) == reference
    assert held.unusual == pytest.approx(worth.marked.n / (worth.marked.n + worth.others.n))


def test_every_training_row_is_counted_once(reference, columns, product):
    rows = len(next(iter(columns.values())))
    assert list(reference.fields) == [f.name for f in product.inputs]
    assert {sum(bins.counts) for bins in reference.fields.values()} == {rows}
    assert sum(reference.scores) == rows


def test_numbers_are_divided_at_the_deciles(reference, columns, product):
    for field in product.inputs:
        bins = reference.fields[field.name]
        if field.kind != "integer":
            continue
        numbers = [v for v in columns[field.name] if v is not None]
        assert (bins.limits[0], bins.limits[-1]) == (min(numbers) - 1, max(numbers))
        assert bins.counts[0] == bins.counts[-2] == 0
        assert bins.unusual == (0, len(bins.limits))
        inner = [n for n in bins.counts[1:-2] if n]
        most = max(np.unique(numbers, return_counts=True)[1])
        assert max(inner) <= len(numbers) / 10 + most + 1


def test_place_of_numbers():
    bins = FieldBins(limits=(9, 20, 30), counts=(0, 5, 5, 0, 2))
    assert bins.place([9, 10, 20, 21, 30, 31, None, -5]).tolist() == [0, 1, 1, 2, 2, 3, 4, 0]
    assert (bins.missing, bins.unusual) == (4, (0, 3))
    assert bins.place([]).tolist() == []


def test_place_of_answers():
    bins = FieldBins(answers=("owner", "renting", "other"), counts=(7, 3, 0, 1))
    assert bins.place(["renting", None, "other", "owner"]).tolist() == [1, 3, 2, 0]
    assert (bins.missing, bins.unusual) == (3, (2,))
    assert FieldBins(answers=(0, 1), counts=(5, 5, 0)).place([1, 0, None]).tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    "wrong",
    [
        {"counts": (1, 2)},
        {"limits": (1, 2), "answers": ("a", "b"), "counts": (1, 2, 3)},
        {"limits": (1, 2), "counts": (1, 2, 3)},
        {"answers": ("a", "b"), "counts": (1, 2)},
        {"answers": ("a", "b"), "counts": (1, 2, -1)},
    ],
)
def test_bins_that_contradict_themselves_are_refused(wrong):
    with pytest.raises(ValidationError):
        FieldBins(**wrong)


def test_each_score_bin_includes_its_upper_limit():
    probability = np.array([0.0, 0.05, 0.0500001, 0.1, 0.999, 1.0])
    assert score_bins(probability).tolist() == [0, 0, 1, 1, SCORE_BINS - 1, SCORE_BINS - 1]


def test_reference_of_a_bundle_that_was_changed(bundle, tmp_path):
    copy = replace(bundle, directory=Path(shutil.copytree(bundle.directory, tmp_path / "copy")))
    assert read_reference(copy) == read_reference(bundle)
    (copy.directory / REFERENCE).write_text("{}")
    with pytest.raises(InvalidBundle, match=REFERENCE):
        read_reference(copy)
