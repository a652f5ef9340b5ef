"""Tests of Prometheus's rules with the real promtool, and of the docs of each alert."""

import re
import subprocess
import urllib.request
from pathlib import Path

import pytest
import yaml

from ml.monitoring.sequential import LOG_ALARM
from ml.monitoring.stability import LARGE
from tests.fixtures.machine import need
from webapp.monitoring.estimated_report import MUCH_WORSE
from webapp.monitoring.outcome_report import WORSE

ROOT = Path(__file__).parents[2]
RULES = ROOT / "prometheus/rules.yml"
CASES = Path(__file__).with_name("rules_test.yml")
GROUPS = yaml.safe_load(RULES.read_text())["groups"]
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
    code, text = promtool("check", "rules", RULES)
    assert code == 0, text
    code, text = promtool("check", "config", ROOT / "prometheus/prometheus.yml")
    assert (code, "1 rule files found" in text) == (0, True), text


def test_every_alert_fires_and_is_silent(promtool, tmp_path):
    cases = yaml.safe_load(CASES.read_text())
    rules = yaml.safe_load(RULES.read_text())
    for group in rules["groups"]:  # the cases state only labels
        for rule in group["rules"]:
            rule.pop("annotations", None)
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules))
    cases["rule_files"] = ["rules.yml"]
    (tmp_path / "cases.yml").write_text(yaml.safe_dump(cases))
    code, text = promtool("test", "rules", "cases.yml")
    assert code == 0, text
    tests = [test for case in cases["tests"] for test in case["alert_rule_test"]]
    tested = {(test["alertname"], bool(test["exp_alerts"])) for test in tests}
    assert tested == {(name, fires) for name in ALERTS for fires in (True, False)}


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_says_what_to_do(name):
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in ("critical", "warning")
    notes = alert["annotations"]
    assert notes["summary"].endswith(".")
    assert notes["description"].endswith(".")
    assert notes["runbook_url"] == f"docs/alerts.md#{name.lower()}"
    text = (ROOT / "docs/alerts.md").read_text()
    assert re.search(rf"^## {name}$", text, re.M), name


def test_limits_are_those_of_the_watch():
    assert f"{LOG_ALARM:.2f}" == "5.99"
    for name in ("LoanScoreChanged", "LoanMiscalibrated"):
        assert ALERTS[name]["expr"].endswith(">= 5.99")
    assert f"> {LARGE}" in ALERTS["LoanFieldMoved"]["expr"]
    assert ALERTS["LoanRankedWorse"]["expr"].endswith(f">= {WORSE:g}")
    assert f"> {MUCH_WORSE} * " in ALERTS["LoanExpectedWorse"]["expr"]


def test_every_metric_of_the_rules_exists(serve):
    with serve() as server, urllib.request.urlopen(f"{server.url}/metrics") as answer:
        text = answer.read().decode()
    names = set(re.findall(r"^# TYPE (\w+) ", text, re.M))
    for rule in (r for g in GROUPS for r in g["rules"]):
        for used in re.findall(r"\b(?:loan_|flask_)\w+", rule["expr"]):
            base = re.sub(r"_(?:count|bucket|sum)$", "", used)
            assert used in names or base in names or used.removesuffix("_total") in names, used
