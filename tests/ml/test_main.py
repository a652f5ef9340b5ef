"""Tests of the commands of python -m ml."""

import dataclasses
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from ml.bundle.reader import read_bundle
from ml.card.card import card_content
from tests.fixtures.models import ROWS, cells

ROOT = Path(__file__).parents[2]
COMMANDS = ("train", "recalibrate", "rules", "evaluate", "fairness", "card", "verify")
KEYS = {
    "n",
    "expected_cost",
    "log_loss",
    "accuracy",
    "balanced_accuracy",
    "roc_auc",
    "brier",
    "recall_refused",
    "grant_rate",
    "threshold",
}


def test_help_lists_every_command():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "ml", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.startswith("Usage: python -m ml ")
    assert done.stderr == ""
    assert all(f"\n  {command} " in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(run, command):
    code, out, errors = run(command, "--help")
    assert code == 0
    assert out[0].startswith(f"Usage: python -m ml {command} ")
    assert errors == []
    options = import_module(f"ml.commands.{command}").command.params
    assert [option.name for option in options if not option.help] == []


def test_command_missing_or_unknown(run):
    for arguments in [(), ("deploy",), ("train", "--faster")]:
        code, out, errors = run(*arguments)
        assert (code, out) == (2, [])
        assert errors[0].startswith("Usage: python -m ml")


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--cost-ratio", "abc", "'abc' is not a valid float range."),
        ("--cost-ratio", "0", "0.0 is not in the range x>0."),
        ("--cost-ratio", "inf", "inf is not a finite number."),
        ("--cost-ratio", "nan", "nan is not a finite number."),
        ("--threshold", "much", "'much' is not a valid float range."),
        ("--threshold", "1", "1.0 is not in the range 0<x<1."),
        ("--seed", "x", "'x' is not a valid integer range."),
        ("--seed", "1.5", "'1.5' is not a valid integer range."),
        ("--seed", "4294967296", "4294967296 is not in the range 0<=x<4294967296."),
    ],
)
def test_train_wrong_option_says_what_is_wanted(run, option, value, words):
    code, out, errors = run("train", f"{option}={value}")
    assert (code, out) == (2, [])
    assert errors[-1] == f"Error: Invalid value for '{option}': {words}"


def test_train_missing_data(run, tmp_path):
    missing = tmp_path / "missing.csv"
    code, out, errors = run("train", "--data", missing)
    assert (code, out) == (2, [])
    assert errors == [f"Error: {missing}: No such file or directory"]


def test_train_unknown_product(run):
    code, out, errors = run("train", "--product", "yacht")
    assert (code, out, len(errors)) == (2, [], 1)
    assert "shipped: consumer_credit, mortgage" in errors[0]


def test_train_refuses_a_place_that_is_taken_before_it_starts(run, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    code, out, errors = run("train", "--out", tmp_path)
    assert (code, out) == (2, [])
    assert errors == [
        f"Error: {tmp_path}: holds something other than a bundle; nothing was written"
    ]


def test_train_too_few_rows(run, product, tmp_path):
    few = tmp_path / "few.csv"
    cells(product.data_file).head(40).to_csv(few, index=False)
    code, out, errors = run("train", "--data", few, "--out", tmp_path / "out")
    assert (code, out) == (2, [])
    assert errors[-1] == "Error: at least 25 good and 25 bad rows are needed"
    assert not (tmp_path / "out").exists()


def test_train_writes_a_model_no_better_than_none_only_if_forced(
    run, product, trained, tmp_path, monkeypatch
):
    """The search is replaced by an earlier result, with a model that grants every application."""
    granting = dataclasses.replace(trained, out_of_fold=np.full(ROWS, 0.9))
    monkeypatch.setattr("ml.commands.train.train", lambda *_, **__: granting)
    file, folder = tmp_path / "rows.csv", tmp_path / "new"
    cells(product.data_file).head(ROWS + 1).to_csv(file, index=False)
    command = ("train", "--data", file, "--out", folder)
    code, out, errors = run(*command)
    assert (code, out) == (2, [])
    assert errors[-1].endswith("Nothing was written; --force writes it anyway.")
    assert not folder.exists()
    code, out, errors = run(*command, "--force")
    assert (code, out) == (0, [])
    assert "1 row left out: no employment_type." in errors
    printed = " ".join(" ".join(errors).split())
    assert "- The expected cost per application is 0.2" in printed
    header = next(line for line in errors if "candidate" in line)
    assert [c.strip() for c in header.strip("┃").split("┃")][1:] == [
        "expected cost",
        "log loss",
        "accuracy",
        "roc auc",
    ]
    assert printed.endswith(f"version {read_bundle(folder).version}.")


def test_evaluate_prints_one_json_object(run, bundle, product):
    code, out, errors = run("evaluate", "--bundle", bundle.directory, "--data", product.data_file)
    assert (code, len(out)) == (0, 1)
    assert errors == ["2 rows left out: no employment_type.", "5 rows left out: no home_status."]
    found = json.loads(out[0])
    assert set(found) == KEYS
    assert found["n"] == 3554


@pytest.mark.parametrize("only", ["0", "1"])
def test_evaluate_single_class_prints_null(run, bundle, product, tmp_path, only):
    file = tmp_path / "one.csv"
    rows = cells(product.data_file).query("eligible == @only").head(20)
    rows.to_csv(file, index=False)
    code, out, errors = run("evaluate", "--bundle", bundle.directory, "--data", file)
    assert (code, errors) == (0, [])
    found = json.loads(out[0])
    assert set(found) == KEYS
    assert found["roc_auc"] is None


def test_evaluate_missing_bundle_or_data(run, bundle, product, tmp_path):
    for directory, file in [(tmp_path, product.data_file), (bundle.directory, tmp_path / "a.csv")]:
        code, out, errors = run("evaluate", "--bundle", directory, "--data", file)
        assert (code, out, len(errors)) == (2, [], 1)


def test_verify_whole_bundle(run, bundle):
    code, out, errors = run("verify", "--bundle", bundle.directory)
    assert (code, len(out), errors) == (0, 1, [])
    assert bundle.version in out[0]


def test_fairness_says_that_the_rows_trained_the_model(run, bundle, product, tmp_path):
    command = ("fairness", "--bundle", bundle.directory, "--data")
    code, out, errors = run(*command, product.data_file)
    assert (code, len(errors)) == (0, 3)
    assert "trained" in errors[-1]
    assert any("Marital status" in line for line in out)
    other = tmp_path / "other.csv"
    cells(product.data_file).head(500).to_csv(other, index=False)
    code, out, errors = run(*command, other, "--json", "--grant-ratio=0.9", "--smallest-group=40")
    assert (code, errors, len(out)) == (0, [], 1)
    found = json.loads(out[0])
    assert found["rows"] == 500
    assert found["limits"] == {"grant_ratio": 0.9, "difference": 0.1, "smallest_group": 40}
    assert [a["name"] for a in found["attributes"]] == [f.name for f in product.protected]


@pytest.mark.parametrize(
    "wrong", ["--grant-ratio=0", "--grant-ratio=1.1", "--difference=x", "--smallest-group=1"]
)
def test_fairness_wrong_limit(run, bundle, product, wrong):
    command = ("fairness", "--bundle", bundle.directory, "--data", product.data_file)
    code, out, errors = run(*command, wrong)
    assert (code, out) == (2, [])
    option, value = wrong.split("=")
    assert f"Error: Invalid value for '{option}': {value!r}: Input should be" in errors[-1]


def test_fairness_wrong_data(run, bundle, product, tmp_path):
    wrong = tmp_path / "wrong.csv"
    cells(product.data_file).head(9).assign(protected_age="old").to_csv(wrong, index=False)
    for file in (wrong, tmp_path / "none.csv"):
        code, out, errors = run("fairness", "--bundle", bundle.directory, "--data", file)
        assert (code, out, len(errors)) == (2, [], 1)
        assert errors[0].startswith(f"Error: {file}")


def test_card_prints_markdown_in_a_language(run, bundle):
    titles = {"en": "# Model card: ", "fr": "# Fiche du modèle\u00a0: "}
    for language, title in titles.items():
        command = ("card", "--bundle", bundle.directory, "--language", language)
        code, out, errors = run(*command)
        assert (code, errors, out[0]) == (0, [], f"{title}{bundle.version}")
    assert run("card", "--bundle", bundle.directory)[1][0].startswith(titles["en"])


def test_card_prints_one_json_object(run, bundle):
    code, out, errors = run("card", "--bundle", bundle.directory, "--json")
    assert (code, errors, len(out)) == (0, [], 1)
    found = json.loads(out[0])
    assert found["version"] == bundle.version
    assert found["evidence"] == card_content(bundle).evidence.model_dump(mode="json")


def test_card_wrong_language_or_bundle(run, bundle, tmp_path):
    code, out, errors = run("card", "--bundle", bundle.directory, "--language", "de")
    assert (code, out) == (2, [])
    assert "'de'" in errors[-1]
    code, out, errors = run("card", "--bundle", tmp_path)
    assert (code, out, len(errors)) == (2, [], 1)


def test_fairness_without_data_is_the_one_made_at_training(run, bundle):
    code, out, errors = run("fairness", "--bundle", bundle.directory, "--json")
    assert (code, errors, len(out)) == (0, [], 1)
    assert json.loads(out[0]) == card_content(bundle).fairness.model_dump(mode="json")


def test_fairness_other_limits_need_data(run, bundle):
    code, out, errors = run("fairness", "--bundle", bundle.directory, "--grant-ratio", "0.9")
    assert (code, out, len(errors)) == (2, [], 1)
    assert "--data" in errors[0]
