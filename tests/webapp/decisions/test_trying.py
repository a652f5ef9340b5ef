"""Tests of trials on the page of a decision: which fields, which values stay, what is said."""

import pytest

from ml.bundle.decide import decide
from ml.product.files import read_product
from ml.product.samples import examples
from ml.training.dataset import as_applications
from tests.fixtures.desk import token
from webapp.columns import now
from webapp.decisions.circumstances import Circumstances
from webapp.decisions.damage import Damaged
from webapp.decisions.forms import trial_form
from webapp.decisions.records import Contents, Trial
from webapp.decisions.trying import form_of, tried_of

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
CHANGEABLE = {
    "consumer_credit": ["loan_amount", "loan_term_months"],
    "mortgage": ["loan_amount", "loan_term_months", "mortgage_insurance_sought", "cosigner"],
}


def contents_of(inputs):
    return Contents(inputs, {}, None, [], None)


def trial_of(bundle, inputs):
    verdict = decide(bundle, inputs)
    word = "granted" if verdict.granted else "refused"
    return Trial(1, now(), "clerk", verdict.probability, word, inputs)


@ON_ONE
@pytest.mark.parametrize("name", list(CHANGEABLE))
def test_form_has_every_field_that_the_applicant_can_change(app, name):
    product = read_product(name)
    [application] = examples(product, count=1, seed=1)
    with app.test_request_context():
        form = trial_form(product, application)
        assert [f.name for f in product.inputs if f.name in form] == CHANGEABLE[name]


@ON_ONE
def test_form_keeps_the_values_that_were_tried_last(app, bundle, refused):
    tried = refused | {"loan_amount": 700, "loan_term_months": 12}
    trials = [trial_of(bundle, tried), trial_of(bundle, refused)]
    with app.test_request_context(headers={"Accept-Language": "en"}):
        for latest, expected in ((trials, tried), ([], refused), ([Damaged(1, ("id",))], refused)):
            form = form_of(bundle, contents_of(refused), latest)
            amount = form["loan_amount"].data.replace(",", "")
            assert (int(amount), int(form["loan_term_months"].data)) == (
                expected["loan_amount"],
                expected["loan_term_months"],
            )


@pytest.fixture
def clear(origin, bundle, product):
    """A training row that the model grants, and that gives no cause for a referral."""
    for application in as_applications(origin.rows.fields):
        verdict = decide(bundle, application)
        far = verdict.probability > bundle.threshold + product.referral.band
        if (
            far
            and verdict.novelty <= 1
            and not any(rule.holds(application) for rule in product.policy_rules)
        ):
            return application
    raise AssertionError("every training row is referred or refused")


@ON_ONE
def test_trial_says_what_the_model_and_the_rules_would_decide(app, bundle, clear):
    dear = clear | {"monthly_income": clear["monthly_expenses"] + 1}
    with app.test_request_context(headers={"Accept-Language": "en"}):
        granted = tried_of(trial_of(bundle, clear), contents_of(clear), bundle, Circumstances())
        referred = tried_of(trial_of(bundle, dear), contents_of(clear), bundle, Circumstances())
    assert (granted.decision, granted.causes, granted.changed) == ("granted", [], [])
    assert referred.decision == "referred"
    assert "The instalment is higher than the income less expenses" in referred.causes
    assert [label for label, _ in referred.changed] == ["Monthly income"]


@ON_ONE
@pytest.mark.parametrize(
    ("circumstances", "cause"),
    [
        (Circumstances(referring=True), "Every application is referred to a person at present"),
        (Circumstances(tries=3), "Several applications of this customer were decided"),
    ],
)
def test_trial_would_be_referred_if_any_application_were(app, bundle, clear, circumstances, cause):
    with app.test_request_context(headers={"Accept-Language": "en"}):
        tried = tried_of(trial_of(bundle, clear), contents_of(clear), bundle, circumstances)
    assert tried.decision == "referred"
    assert [text.startswith(cause) for text in tried.causes] == [True]


@ON_ONE
def test_trial_of_a_missing_model_has_the_word_of_the_model(app, bundle, refused):
    trial = trial_of(bundle, refused)
    with app.test_request_context():
        assert (
            tried_of(trial, contents_of(refused), None, Circumstances()).decision
            == trial.model_decision
        )


@ON_ONE
def test_page_keeps_what_was_typed_after_a_trial(send, signed_in, read_page, refused):
    location = send(refused).location
    form = {"csrf_token": token(signed_in, location), "loan_amount": "700", "loan_term_months": "7"}
    assert signed_in.post(f"{location}/trials", data=form).status_code == 303
    page = read_page(signed_in.get(location).text)
    values = {e.get("name"): e.get("value") for e in page.iter("input")}
    assert (values["loan_amount"], values["loan_term_months"]) == ("700", "7")


@ON_ONE
def test_decision_is_shown_while_no_model_can_be_used(send, refused, restart, sign_in, tmp_path):
    location = send(refused).location
    page = sign_in(restart(tmp_path / "nothing")).get(location)
    assert page.status_code == 200
    assert "Application" in page.text
