"""Tests of which accounts and API keys are one person's."""

import pytest

from tests.fixtures.databases import PASSWORD
from webapp.ledger.transaction import unit_of_work
from webapp.people import api_keys, service
from webapp.people.persons import same_person, words_of


@pytest.fixture
def same(app, query):
    """Return whether operators, given by name, are one person."""

    def ask(one, other):
        numbers = [
            query(f"SELECT id FROM operators WHERE name = '{name}'")[0][0] for name in (one, other)
        ]
        with app.app_context(), unit_of_work() as transaction:
            there, back = (same_person(transaction, *n) for n in (numbers, numbers[::-1]))
        assert there == back
        return there

    return ask


@pytest.fixture
def add(app):
    """Add users by name and full name; return their numbers."""

    def create(**full_names):
        with app.app_context(), unit_of_work() as transaction:
            return [
                service.create_user(
                    transaction, name, password_hash=PASSWORD, roles=["clerk"], full_name=full_name
                )
                for name, full_name in full_names.items()
            ]

    return create


def test_accounts_of_one_full_name_are_one_person(add, same):
    add(anna="Anna-Lena Dión", al="DION  anna lena", bob="Bob Dion", eva=None, ida=None)
    assert same("anna", "anna")
    assert same("anna", "al")
    assert not same("anna", "bob")
    assert not same("eva", "ida")
    assert not same("eva", "anna")


def test_account_without_a_full_name_is_known_by_its_user_name(add, same):
    add(**{"anna.dion": None, "second": "Dión  Anna", "third": None})
    assert same("anna.dion", "second")
    assert not same("anna.dion", "third")


def test_api_key_belongs_to_the_person_who_created_it(app, add, same):
    anna, _, _ = add(anna="Anna Dion", al="anna dion", bob="Bob")
    with app.app_context(), unit_of_work() as transaction:
        for name in ("one", "two"):
            api_keys.create_api_key(transaction, name, created_by=anna)
        api_keys.create_api_key(transaction, "by-command")
    assert same("one", "anna")
    assert same("one", "al")
    assert same("one", "two")
    assert not same("one", "bob")
    assert not same("one", "by-command")
    assert not same("by-command", "anna")


def test_words_of_a_name():
    assert words_of(" José  O'Neil-Smith ") == ("jose", "neil", "o", "smith")
    assert words_of("Straße") == words_of("STRASSE")
    assert words_of("Łukasz Øst Đuro ŧ") == words_of("lukasz ost duro t")
    assert words_of(" - ") == ()
