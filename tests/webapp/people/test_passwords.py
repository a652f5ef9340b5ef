"""Tests of stored passwords with the hash parameters of the shipped service."""

import pytest
from flask import Flask

from tests.fixtures.databases import add_user
from webapp.people.passwords import fault_of

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
CHEAP = "SECURITY_PASSWORD_HASH_PASSLIB_OPTIONS"  # which tests/fixtures/desk.py sets


@pytest.mark.parametrize("password", ["Marie-Claude", "marie-claudemarie-claude"])
def test_name_of_the_user_is_no_password(password):
    assert fault_of(password, username="marie-claude", present="") == "name"


@pytest.fixture
def shipped(migrated, another_app, monkeypatch):
    """The application as it runs outside the tests."""
    settings = {name: value for name, value in Flask.default_config.items() if name != CHEAP}
    assert len(settings) == len(Flask.default_config) - 1
    monkeypatch.setattr(Flask, "default_config", settings)
    with another_app() as app:
        yield app


@ON_SQLITE
def test_password_is_kept_as_a_costly_hash(shipped, query, sign_in):
    with shipped.app_context():
        add_user("anna", "a password of hers")
    [(kept,)] = query("SELECT password FROM users JOIN operators USING (id) WHERE name = 'anna'")
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert sign_in(shipped.test_client(), "anna", "a password of hers")


@ON_SQLITE
def test_password_with_a_cheaper_hash_is_hashed_again_at_sign_in(shipped, query, sign_in):
    [(before,)] = query("SELECT password FROM users JOIN operators USING (id) WHERE name = 'clerk'")
    sign_in(shipped.test_client())
    [(after,)] = query("SELECT password FROM users JOIN operators USING (id) WHERE name = 'clerk'")
    assert "m=8,t=1,p=1" in before
    assert "m=65536,t=3,p=4" in after
