"""Tests of the correction of probabilities by outcomes."""

import csv
import shutil
from dataclasses import replace

import numpy as np
import pytest

from ml.bundle.reader import read_bundle
from ml.card.card import model_card
from ml.monitoring.bins import read_reference
from ml.monitoring.estimated import Decided, estimate
from ml.monitoring.logistic import UNCHANGED, Line, log_odds, sigmoid
from ml.monitoring.rows import read_training_rows
from ml.product.errors import InvalidData
from ml.training.build import assemble
from ml.training.dataset import as_applications
from ml.training.recalibrate import line_of
from tests.fixtures.commands import run_ml


def write_rows(file, product, fields, good):
    names = [f.name for f in product.inputs]
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow([*names, product.target])
        for application, outcome in zip(as_applications(fields), good, strict=True):
            values = ["" if application[n] is None else application[n] for n in names]
            rows.writerow([*values, int(outcome)])
    return file


@pytest.fixture(scope="module")
def data(product, origin, tmp_path_factory):
    """A CSV file of the rows that the small bundle is trained on."""
    file = tmp_path_factory.mktemp("data") / "rows.csv"
    return write_rows(file, product, origin.rows.fields, origin.rows.good)


@pytest.fixture(scope="module")
def first(product, trained, origin, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "own"
    return assemble(folder, product, trained, replace(origin, data_file=data))


@pytest.fixture
def copied(first, tmp_path):
    """A copy of the bundle in a folder of its own."""
    return read_bundle(shutil.copytree(first.directory, tmp_path / "models" / "own"))


@pytest.fixture
def outcomes(product, origin, first, tmp_path):
    """Write outcomes of granted loans, which are as good as a correction says."""

    def write(line, *, count=3_000, seed=1):
        random = np.random.default_rng(seed)
        fields = origin.rows.fields
        odds = log_odds(first.scorer.score_many(fields))
        granted = np.flatnonzero(sigmoid(odds) >= first.threshold)
        chosen = random.choice(granted, count)
        good = random.random(count) < sigmoid(line.of(odds[chosen]))
        return write_rows(tmp_path / "outcomes.csv", product, fields.iloc[chosen], good)

    return write


@pytest.fixture
def recalibrate(copied, data):
    """Run the command on the copy; return its exit code and its output."""

    def command(outcomes, *, data=data):
        options = ("--bundle", copied.directory, "--outcomes", outcomes, "--data", data)
        done = run_ml("recalibrate", *options)
        return done.code, done.out + done.err

    return command


def test_probabilities_become_those_of_the_outcomes(copied, outcomes, recalibrate, origin):
    code, text = recalibrate(outcomes(Line(-0.6, 0.8)))
    assert code == 0, text
    new = read_bundle(copied.directory)
    fields = origin.rows.fields
    before, after = (b.scorer.score_many(fields) for b in (copied, new))
    expected = sigmoid(Line(-0.6, 0.8).of(log_odds(before)))
    assert after == pytest.approx(expected, abs=0.06)
    assert (np.argsort(after, kind="stable") == np.argsort(before, kind="stable")).all()
    refused = ((before >= copied.threshold) & (after < new.threshold)).sum()
    assert refused > 0
    assert "3,000 outcomes: " in text
    assert new.version in text
    assert new.version != copied.version
    assert new.threshold == copied.threshold


def test_new_bundle_is_whole_and_says_what_it_is(copied, first, outcomes, recalibrate, trained):
    file = outcomes(Line(-0.7))
    assert recalibrate(file)[0] == 0
    new = read_bundle(copied.directory)  # `assemble` has verified it by its known answers
    by = new.manifest.recalibration
    assert (by.before, by.rows, by.slope) == (copied.version, 3_000, 1.0)
    assert by.shift == pytest.approx(-0.7, abs=0.2)
    assert new.challengers == copied.challengers
    assert new.manifest.table == copied.manifest.table
    [limit] = model_card(new).limits[len(model_card(first).limits) :]
    assert "3,000" in limit.en
    assert "outcomes.csv" in limit.fr
    assert (copied.directory.parent / copied.version / "manifest.json").exists()
    scores = np.array(read_reference(new).scores)
    assert scores.sum() == len(trained.out_of_fold)
    assert (scores != np.array(read_reference(first).scores)).any()


def test_estimates_keep_the_correction(copied, first, outcomes, recalibrate):
    """The labels of the training rows say nothing of what has changed since."""
    assert recalibrate(outcomes(Line(-0.7)))[0] == 0
    new = read_bundle(copied.directory)
    old, rows = read_training_rows(first), read_training_rows(new)
    line = Line(new.manifest.recalibration.shift, new.manifest.recalibration.slope)
    assert rows.line == pytest.approx(line)
    assert rows.probability == pytest.approx(sigmoid(line.of(log_odds(old.probability))))
    granted = rows.probability >= new.threshold
    decided = Decided(rows.probability, granted, rows.matrix, rows.probability)
    found = estimate(decided, rows, cost_ratio=1.0, seed=0)
    assert found.estimates["bad_share"].value == pytest.approx(found.plain.bad_share, abs=0.02)


def test_corrections_follow_each_other(copied, outcomes, recalibrate):
    assert recalibrate(outcomes(Line(-0.7)))[0] == 0
    first = read_bundle(copied.directory)
    assert recalibrate(outcomes(Line(-1.6), seed=2))[0] == 0
    second = read_bundle(copied.directory)
    lines = [
        Line(b.manifest.recalibration.shift, b.manifest.recalibration.slope)
        for b in (first, second)
    ]
    assert second.manifest.recalibration.before == first.version
    assert read_training_rows(second).line == pytest.approx(lines[1].after(lines[0]))
    assert sum(line.shift for line in lines) == pytest.approx(-1.6, abs=0.3)


@pytest.mark.parametrize(
    ("line", "count", "message"),
    [
        (UNCHANGED, 3_000, "do not show that the probabilities are wrong"),
        (Line(-0.6), 120, "at least 50 good and 50 bad outcomes are needed"),
        (Line(3.0, -2.0), 3_000, "the higher a probability, the fewer loans are good"),
    ],
)
def test_outcomes_that_ask_for_no_correction_change_nothing(
    copied, outcomes, recalibrate, line, count, message
):
    code, text = recalibrate(outcomes(line, count=count))
    assert code == 2
    assert message in text
    assert read_bundle(copied.directory).digest == copied.digest


def test_other_training_data_are_refused(copied, outcomes, recalibrate, product, tmp_path):
    lines = product.data_file.read_text().splitlines(keepends=True)
    other = tmp_path / "rows.csv"
    other.write_text("".join(lines[:-1]))
    code, text = recalibrate(outcomes(Line(-0.6)), data=other)
    assert code == 2
    assert f"not the file that {copied.version} was trained with" in text
    code, text = recalibrate(tmp_path / "nowhere.csv")
    assert (code, "No such file" in text) == (2, True)


@pytest.mark.parametrize("true", [UNCHANGED, Line(-0.5), Line(0.3, 0.6), Line(0.0, 1.5)])
def test_smallest_correction_that_the_outcomes_ask_for(true):
    random = np.random.default_rng(9)
    probability = random.uniform(0.3, 0.95, size=20_000)
    good = random.random(20_000) < sigmoid(true.of(log_odds(probability)))
    found = line_of(probability, good.astype(float))
    assert found == pytest.approx(true, abs=0.08)
    assert (found == UNCHANGED) == (true == UNCHANGED)
    assert (found.slope == 1.0) == (true.slope == 1.0)


def test_reversed_ranks_have_no_correction():
    probability = np.linspace(0.3, 0.9, 1_000)
    with pytest.raises(InvalidData, match="train a new model"):
        line_of(probability, (probability < 0.6).astype(float))


def test_lines_can_be_undone_and_follow_each_other():
    first, second = Line(0.3, 0.8), Line(-1.0, 1.5)
    odds = np.linspace(-3, 3, 7)
    assert first.undone(first.of(odds)) == pytest.approx(odds)
    assert second.after(first).of(odds) == pytest.approx(second.of(first.of(odds)))
