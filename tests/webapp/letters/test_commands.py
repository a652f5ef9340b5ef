"""Tests of `flask letters check`."""

import shutil

import pytest

from tests.webapp.letters.conftest import ON_SQLITE
from webapp.letters.wording import OURS

pytestmark = ON_SQLITE


@pytest.fixture
def check(another_app, tmp_path):
    """Run the command with the bank's own templates; return its exit code and its lines."""

    def invoke(*options, **settings):
        with another_app(**settings) as app:
            done = app.test_cli_runner().invoke(args=["letters", "check", *options])
        return done.exit_code, done.stdout.splitlines()

    return invoke


@pytest.fixture
def bank(tmp_path):
    """A folder with copies of our templates."""
    return shutil.copytree(OURS, tmp_path / "bank")


def test_our_templates_are_in_order(migrated, check, tmp_path):
    code, lines = check("--write", str(tmp_path / "examples"))
    assert (code, lines) == (0, [f"24 letters written from {OURS}, 0 wrong"])
    files = {f.name for f in (tmp_path / "examples").iterdir()}
    assert len(files) == 25
    assert {"letter.css", "us-fr-refused_policy.html"} < files


def test_what_a_template_lacks_is_named(migrated, check, bank):
    file = bank / "eu" / "fr.html"
    file.write_text(file.read_text().replace("{{ letter.bank.debt_advice }}", "x"))
    file = bank / "us" / "en.html"
    file.write_text(file.read_text().replace("letter.bank.agency", "letter.bank.agencies"))
    code, lines = check(letter_templates=str(bank))
    assert code == 1
    assert lines[:3] == [
        f"eu/fr.html: {kind}: not shown: letter.bank.debt_advice"
        for kind in ("refused", "refused_policy", "refused_review")
    ]
    assert all("has no attribute 'agencies'" in line for line in lines[3:6])
    assert lines[6:] == [f"21 letters written from {bank}, 6 wrong"]


def test_regime_that_the_bank_does_not_use_may_be_missing(migrated, check, bank):
    shutil.rmtree(bank / "us")
    assert check(letter_templates=str(bank)) == (0, [f"12 letters written from {bank}, 0 wrong"])
    code, lines = check(letter_templates=str(bank), letter_regime="us")
    assert code == 1
    assert "us/en.html: granted: No such file or directory" in lines
