"""Tests of the command that changes rules and texts of a bundle: the model stays the same."""

import shutil

import pytest

from ml.bundle.decide import decide
from ml.bundle.manifest import PRODUCT
from ml.bundle.reader import read_bundle
from ml.bundle.store import find_bundle
from ml.bundle.verify import verify_bundle
from ml.card.card import model_card
from ml.product.samples import examples

BAND, NO_BAND = "band = 0.02", "band = 0.0"
NEW_RULE = """
[[policy_rules]]
name = "long_term"
label = { en = "the term is at most 60 months", fr = "la durée est de 60 mois au plus" }
reason = { en = "The term is longer than 60 months", fr = "La durée dépasse 60 mois" }
then = "refuse"
sum = { loan_term_months = 1 }
above = 60
"""


@pytest.fixture
def old(bundle, tmp_path):
    return read_bundle(shutil.copytree(bundle.directory, tmp_path / "models" / "own"))


@pytest.fixture
def change(old, run, tmp_path):
    """Run the command with the product file of the bundle, in which texts are replaced."""

    def command(*replaced, more=""):
        text = old.file(PRODUCT).decode()
        for before, after in replaced:
            assert before in text
            text = text.replace(before, after)
        file = tmp_path / "own.toml"
        file.write_text(text + more)
        return run("rules", "--bundle", old.directory, "--product", file)

    return command


def test_changed_rules_are_in_a_new_bundle_of_the_same_model(old, change):
    code, out, errors = change((BAND, NO_BAND), more=NEW_RULE)
    new = read_bundle(old.directory)
    assert (code, errors) == (0, [])
    assert out == [
        "Changed: policy_rules, referral.",
        f"Rules: {old.product.policy_version} → {new.product.policy_version}.",
        f"Written to {old.directory}, version {new.version}.",
    ]
    assert new.product.policy_version != old.product.policy_version
    assert [rule.name for rule in new.product.policy_rules][-1] == "long_term"
    assert new.version != old.version
    assert new.digest != old.digest
    verify_bundle(new)
    stated = new.manifest.rules_change
    assert (stated.before, stated.policy) == (old.version, new.product.policy_version)
    for application in examples(old.product, count=20, seed=1):
        before, after = decide(old, application), decide(new, application)
        assert after == before._replace(model=new.version)


def test_bundle_before_is_kept_and_found_by_its_version(old, change):
    version, rules = old.version, old.product.policy_rules
    assert change(more=NEW_RULE)[0] == 0
    assert find_bundle(old.directory, version).product.policy_rules == rules


def test_changed_texts_are_on_the_card_and_keep_the_version_of_the_rules(old, change):
    help_text = 'help = { en = "Completed years."'
    code, out, _ = change((help_text, 'help = { en = "Whole years."'))
    new = read_bundle(old.directory)
    assert (code, out[0]) == (0, "Changed: fields.")
    assert new.product.policy_version == old.product.policy_version
    assert new.version != old.version
    limits = model_card(new).limits
    assert len(limits) == len(model_card(find_bundle(old.directory, old.version)).limits) + 1
    assert old.version in limits[-1].en
    assert old.version in limits[-1].fr


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("cost_ratio = 1.0", "cost_ratio = 2.0", "cost_ratio"),
        ("maximum = 50_000", "maximum = 60_000", "fields.loan_amount.maximum"),
        ('en = "Loan amount"', 'en = "Amount"', "fields.loan_amount.label"),
        ("{ loan_amount = 1 }", "{ loan_amount = 2 }", "ratios.loan_to_price.sum"),
    ],
)
def test_what_the_model_or_its_card_depends_on_cannot_be_changed(old, change, before, after, named):
    code, out, errors = change((before, after))
    assert (code, out) == (2, [])
    [error] = errors
    assert f": {named} is not that of the model; only rules, referral and texts" in error
    assert read_bundle(old.directory).digest == old.digest


def test_nothing_changed_or_an_invalid_file_is_refused(old, change, run, tmp_path):
    for (code, _, errors), expected in (
        (change(), "nothing differs from the bundle"),
        (change((BAND, "band = 0.7")), "referral.band"),
        (run("rules", "--bundle", old.directory, "--product", tmp_path / "x.toml"), "No such file"),
    ):
        assert code == 2
        assert expected in errors[0]
    assert read_bundle(old.directory).digest == old.digest


def test_rule_that_a_missing_answer_keeps_is_pointed_out(change):
    text = 'missing = ["monthly_income"]'
    _, out, _ = change((text, 'is = { home_status = "renting" }\n' + text))
    assert (
        "affordability is not checked without monthly_income, and no rule says that it is missing."
        in out
    )
