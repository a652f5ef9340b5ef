"""Tests of Prometheus's rules with the real promtool, and of the docs of each alert."""

import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest
import yaml

from ml.monitoring.sequential import LOG_ALARM
from ml.monitoring.stability import LARGE
from ml.product.tolerances import Fairness
from tests.fixtures.machine import need
from webapp.monitoring.reporting.estimates import MUCH_WORSE
from webapp.monitoring.reporting.outcomes import WORSE

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "prometheus").glob("rules*.yml"))
CASES = sorted(Path(__file__).parent.glob("rules*_test.yml"))
GROUPS = [g for file in RULES for g in yaml.safe_load(file.read_text())["groups"]]
ALERTS = {r["alert"]: r for g in GROUPS for r in g["rules"] if "alert" in r}
INSTALL = "apt-get install prometheus"


@pytest.fixture
def promtool(tmp_path):
    """Run promtool; return its exit code and its output."""
    program = need("promtool", INSTALL)

    def run(*arguments):
        command = [program, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        return done.returncode, done.stdout + done.stderr

    return run


def test_rules_and_configuration_are_valid(promtool):
    code, text = promtool("check", "rules", *RULES)
    assert code == 0, text
    code, text = promtool("check", "config", ROOT / "prometheus/prometheus.yml")
    assert code == 0, text
    for file in RULES:
        assert file.name in text


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_cases_hold(promtool, tmp_path, file):
    for name in yaml.safe_load(file.read_text())["rule_files"]:
        rules = yaml.safe_load((ROOT / "prometheus" / name).read_text())
        for rule in (r for group in rules["groups"] for r in group["rules"]):
            rule.pop("annotations", None)  # the cases state only labels
        (tmp_path / name).write_text(yaml.safe_dump(rules))
    shutil.copy(file, tmp_path)
    code, text = promtool("test", "rules", file.name)
    assert code == 0, text


def test_every_alert_has_cases_in_which_it_fires_and_is_silent():
    cases = [case for file in CASES for case in yaml.safe_load(file.read_text())["tests"]]
    tests = [test for case in cases for test in case.get("alert_rule_test", [])]
    tested = {(test["alertname"], bool(test["exp_alerts"])) for test in tests}
    assert tested == {(name, fires) for name in ALERTS for fires in (True, False)}


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_says_what_to_do(name):
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in ("critical", "warning")
    notes = alert["annotations"]
    assert notes["summary"].endswith(".")
    assert notes["description"].endswith(".")
    assert notes["runbook"] == f"docs/alerts.md#{name.lower()}"
    text = (ROOT / "docs/alerts.md").read_text()
    assert re.search(rf"^## {name}$", text, re.M), name


def test_limits_are_those_of_the_watch():
    assert f"{LOG_ALARM:.2f}" == "5.99"
    for name in ("LoanScoreChanged", "LoanMiscalibrated"):
        assert ALERTS[name]["expr"].endswith(">= 5.99")
    assert f"> {LARGE}" in ALERTS["LoanFieldMoved"]["expr"]
    assert ALERTS["LoanRankedWorse"]["expr"].endswith(f">= {WORSE:g}")
    assert f"> {MUCH_WORSE} * " in ALERTS["LoanExpectedWorse"]["expr"]
    ratio = Fairness().grant_ratio
    assert f"_high) < {ratio}" in ALERTS["LoanGrantRatesDiffer"]["expr"]
    assert f"_low) > {1 / ratio}" in ALERTS["LoanGrantRatesDiffer"]["expr"]


def test_every_metric_of_the_rules_exists(serve):
    with serve() as server, urllib.request.urlopen(f"{server.url}/metrics") as answer:
        text = answer.read().decode()
    names = set(re.findall(r"^# TYPE (\w+) ", text, re.M))
    for rule in (r for g in GROUPS for r in g["rules"]):
        for used in re.findall(r"\b(?:loan_|flask_)\w+", rule["expr"]):
            base = re.sub(r"_(?:count|bucket|sum)$", "", used)
            assert used in names or base in names or used.removesuffix("_total") in names, used
