"""Tests of the reasons of decisions: in the API, in the database, and computed if not stored."""

import json
import re
import shutil
from pathlib import Path

import pytest

from ml.bundle.changes import find_changes
from ml.explaining.reasons import MAX_PRINCIPAL_REASONS, MIN_RELATIVE_SHARE
from ml.product.texts import LANGUAGES
from webapp.decisions import explanations, search
from webapp.decisions.writing import as_stored
from webapp.extensions import db

DOCS = Path(__file__).parents[3] / "docs/api.md"
DECISIONS = "/api/v1/decisions"
PROBLEM = "application/problem+json"
ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
# Reasons that no model computes.
INVENTED = [
    {"field": "assets", "share": -4.5, "principal": True, "text": {"en": "So", "fr": "Ainsi"}},
    {"field": "years_in_job", "share": 0.25, "principal": False, "text": {"en": "Not", "fr": "Ni"}},
]


@pytest.fixture
def ask(client, api_key):
    """Get an address of the API in a language, with a valid key."""

    def get(path, language="en"):
        headers = {"Authorization": f"Bearer {api_key}", "Accept-Language": language}
        return client.get(path, headers=headers)

    return get


@pytest.fixture(scope="session")
def seen():
    """The reasons stored in the first database, to compare with the second."""
    return {}


@pytest.fixture(scope="session")
def refusals(applications, bundle):
    """The example applications that are refused."""
    refused_applications = [
        a for a in applications if bundle.scorer.score(a).probability < bundle.threshold
    ]
    assert len(refused_applications) > 10
    return refused_applications


def copy_both(tmp_path, bundle, another_bundle):
    """Copy both bundles into one folder, as after the model was replaced."""
    for name, one in (("old", bundle), ("new", another_bundle)):
        shutil.copytree(one.directory, tmp_path / "models" / name)
    return tmp_path / "models"


def test_refusal_gives_its_reasons(post, refusals, bundle, product):
    principals = set()
    for application in refusals:
        reasons = post(application).json["reasons"]
        assert sorted(r["field"] for r in reasons) == sorted(product.players)
        assert all(list(r) == ["field", "share", "principal", "text"] for r in reasons)
        shares = [r["share"] for r in reasons]
        assert shares == sorted(shares)
        many = sum(r["principal"] for r in reasons)
        assert [r["principal"] for r in reasons] == [i < many for i in range(len(reasons))]
        assert all(share <= MIN_RELATIVE_SHARE * shares[0] for share in shares[:many])
        assert shares[0] < 0
        score = bundle.scorer.score(application)
        whole = bundle.scorer.margin.one(score.row) - bundle.explainer.base
        assert sum(shares) == pytest.approx(whole, abs=1e-9)
        principals.add(many)
    assert 1 <= min(principals) < max(principals) == MAX_PRINCIPAL_REASONS


def test_refusal_gives_its_reasons_in_the_requested_language(post, api_key, refused, bundle):
    explained = bundle.explainer.explain(refused, granted=False).reasons
    shown_reasons = {}
    for language in LANGUAGES:
        headers = {"Authorization": f"Bearer {api_key}", "Accept-Language": language}
        reasons = post(refused, headers=headers).json["reasons"]
        shown_reasons[language] = [r["text"] for r in reasons]
        assert shown_reasons[language] == [r.text.in_language(language) for r in explained]
    assert all(en != fr for en, fr in zip(*shown_reasons.values(), strict=True))


def test_refusal_stores_its_reasons_as_shown(post, ask, refused, granted, query, bundle, seen):
    body = post(refused).json
    post(granted)
    [(stored,), nothing] = query("SELECT reasons FROM decision_contents ORDER BY decision_id")
    stored = json.loads(stored) if isinstance(stored, str) else stored
    assert nothing == (None,)
    explained = bundle.explainer.explain(refused, granted=False).reasons
    assert stored == as_stored(explained)
    assert seen.setdefault("reasons", stored) == stored
    for language in LANGUAGES:
        shown_reasons = ask(f"{DECISIONS}/{body['id']}", language).json["reasons"]
        assert shown_reasons == [{**r, "text": r["text"][language]} for r in stored]


def test_grant_gives_its_reasons_when_asked(post, ask, granted, bundle):
    body = post(granted).json
    for language in LANGUAGES:
        answer = ask(f"{DECISIONS}/{body['id']}/reasons", language)
        assert answer.status_code == 200
        assert answer.content_type == "application/json"
        expected = bundle.explainer.explain(granted, granted=True).reasons
        assert answer.json == {
            "id": body["id"],
            "decision": "granted",
            "basis": "model",
            "model_decision": "granted",
            "model": bundle.version,
            "causes": [],
            "reasons": [
                {
                    "field": r.field,
                    "share": r.share,
                    "principal": False,
                    "text": r.text.in_language(language),
                }
                for r in expected
            ],
        }
    shares = [r["share"] for r in answer.json["reasons"]]
    assert shares == sorted(shares, reverse=True)


@ON_ONE
def test_docs_show_an_answer_of_the_api(post, refused):
    shown = json.loads(re.search(r"```json\n(.*?)```", DOCS.read_text(), re.S)[1])
    body = post(refused).json
    assert list(shown) == list(body)
    for part in ("reasons", "features"):
        assert all(list(one) == list(body[part][0]) for one in shown[part])
    shares = [reason["share"] for reason in shown["reasons"]]
    assert shares == sorted(shares)


def test_out_of_range(post, typical, product):
    absurd = {
        **typical,
        **{name: product.by_name[name].maximum for name in ("assets", "outstanding_debt")},
        **{name: product.by_name[name].minimum for name in ("monthly_income", "loan_amount")},
    }
    assert post(typical).json["out_of_range"] is False
    assert post(absurd).json["out_of_range"] is True


def test_reasons_of_a_refusal_are_those_stored(put, ask, refused, bundle):
    number = put(refused, model=bundle.version, reasons=INVENTED)
    for path in (f"{DECISIONS}/{number}", f"{DECISIONS}/{number}/reasons"):
        for language in LANGUAGES:
            shown_reasons = ask(path, language).json["reasons"]
            assert shown_reasons == [{**r, "text": r["text"][language]} for r in INVENTED]


def test_reasons_of_a_refusal_without_stored_ones(put, ask, refused, bundle):
    number = put(refused, model=bundle.version)
    body = ask(f"{DECISIONS}/{number}").json
    assert body["reasons"] is None
    assert body["out_of_range"] is False
    expected = as_stored(bundle.explainer.explain(refused, granted=False).reasons)
    shown_reasons = ask(f"{DECISIONS}/{number}/reasons").json["reasons"]
    assert shown_reasons == [{**r, "text": r["text"]["en"]} for r in expected]


@ON_ONE
def test_policy_refusal_has_its_rules_as_causes_and_no_principal_reason(put, ask, refused, bundle):
    text = {"en": "The term is too long", "fr": "La durée est trop longue"}
    rule = {"cause": "rule", "name": "long_term", "then": "refuse", "text": text}
    ruled = {"decision": "refused", "basis": "policy", "causes": [rule]}
    number = put(refused, model=bundle.version, **ruled)
    body = ask(f"{DECISIONS}/{number}").json
    assert body["reasons"] is None
    for language in LANGUAGES:
        body = ask(f"{DECISIONS}/{number}/reasons", language).json
        assert (body["decision"], body["basis"]) == ("refused", "policy")
        assert body["causes"] == [{**rule, "text": text[language]}]
        assert not any(reason["principal"] for reason in body["reasons"])


def test_reasons_of_a_missing_model(put, ask, refused, granted):
    gone = [put(refused), put(granted, probability=0.75)]
    details = set()
    for number in gone:
        for language in LANGUAGES:
            answer = ask(f"{DECISIONS}/{number}/reasons", language)
            assert answer.status_code == 409
            assert answer.content_type == PROBLEM
            assert answer.json["status"] == 409
            details.add(answer.json["detail"])
    assert len(details) == len(LANGUAGES)
    kept = put(refused, reasons=INVENTED)
    assert ask(f"{DECISIONS}/{kept}/reasons").status_code == 200


def test_reasons_of_a_past_model(post, granted, restart, tmp_path, bundle, another_bundle, api_key):
    number = post(granted).json["id"]
    models = copy_both(tmp_path, bundle, another_bundle)
    headers = {"Authorization": f"Bearer {api_key}"}
    desk = restart(models / "new")
    now = desk.get("/api/v1/models/current", headers=headers).json["version"]
    assert now == another_bundle.version != bundle.version
    path = f"{DECISIONS}/{number}/reasons"
    shares = {r["field"]: r["share"] for r in desk.get(path, headers=headers).json["reasons"]}
    explained = bundle.explainer.explain(granted, granted=True).reasons
    assert shares == {r.field: r.share for r in explained}
    assert shares != {
        r.field: r.share for r in another_bundle.explainer.explain(granted, granted=True).reasons
    }
    shutil.rmtree(models / "old")
    assert restart(models / "new").get(path, headers=headers).status_code == 409


def test_reasons_of_a_past_model_that_was_changed(
    put, granted, restart, tmp_path, bundle, another_bundle, api_key, caplog
):
    number = put(granted, probability=0.75, model=bundle.version)
    models = copy_both(tmp_path, bundle, another_bundle)
    with (models / "old" / "background.json").open("a") as file:
        file.write(" ")
    headers = {"Authorization": f"Bearer {api_key}"}
    desk = restart(models / "new")
    assert desk.get(f"{DECISIONS}/{number}/reasons", headers=headers).status_code == 409
    assert "background.json: its hash is not the one" in caplog.text


@ON_ONE
def test_find_changes_by_the_decisions_own_threshold(app, put, refusals, bundle, product):
    threshold, probabilities = 0.3, []
    for application in refusals:
        if bundle.scorer.score(application).probability >= threshold:
            continue
        number = put(application, model=bundle.version, threshold=threshold)
        with app.app_context():
            changes = explanations.find_changes(*search.find_decision(number))
        expected = find_changes(bundle, application, threshold=threshold)
        assert changes == expected
        probabilities += [suggestion.probability for suggestion in changes.suggestions]
    assert any(threshold <= probability < bundle.threshold for probability in probabilities)


@ON_ONE
def test_missing_model_is_searched_for_once(signed_in, put, refused, caplog):
    numbers = put(refused), put(refused, model="svc_linear-11111111")
    for number in numbers * 2:
        assert signed_in.get(f"/decisions/{number}").status_code == 200
    warnings = [r.getMessage() for r in caplog.records if "past model" in r.getMessage()]
    assert len(warnings) == 2
    assert "svc_linear-00000000" in warnings[0]
    assert "svc_linear-11111111" in warnings[1]


@ON_ONE
def test_find_changes_of_a_missing_model(app, put, refused):
    number = put(refused)
    with app.app_context():
        assert explanations.find_changes(*search.find_decision(number)) is None
        db.session.remove()
