"""Tests of which API keys are accepted."""

from webapp.ledger.transaction import unit_of_work
from webapp.people import api_keys

DECISIONS = "/api/v1/decisions"


def test_wrong_key_is_refused(app, client, api_key, granted, signed_in, query):
    with app.app_context(), unit_of_work() as transaction:
        revoked = api_keys.create_api_key(transaction, "gone")
        api_keys.revoke_api_key(transaction, "gone")
    unknown = api_key[:-1] + ("a" if api_key[-1] != "a" else "b")
    for header in (
        None,
        "",
        "Bearer",
        "Bearer ",
        api_key,
        f"Basic {api_key}",
        f"Token {api_key}",
        f"Bearer {unknown}",
        f"Bearer {revoked}",
        f"Bearer {api_key} {api_key}",
        f"Bearer {api_key.upper()}",
        "Bearer é",
    ):
        headers = {} if header is None else {"Authorization": header}
        for answer in (
            client.post(DECISIONS, json=granted, headers=headers),  # the session is ignored
            client.get(f"{DECISIONS}/1", headers=headers),
            client.get(f"{DECISIONS}/1/reasons", headers=headers),
            client.get("/api/v1/models/current", headers=headers),
        ):
            assert (answer.status_code, answer.content_type) == (401, "application/problem+json")
            assert answer.json["status"] == 401
            assert all(answer.json[k] for k in ("type", "title", "detail"))
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert api_key not in answer.text
    assert query("SELECT count(*) FROM decisions") == [(0,)]


def test_key_does_not_open_pages(client, api_key):
    headers = {"Authorization": f"Bearer {api_key}"}
    assert client.get("/decisions", headers=headers).status_code == 302
