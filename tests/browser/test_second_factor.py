"""The journey of a second factor: an admin adds a person, who sets it up and signs in with it."""

import pytest
from playwright.sync_api import expect

from tests.browser.pages import Navigation, NewApplication, SignIn
from tests.browser.people import Account, OwnPassword, People, SignInCode
from tests.fixtures.authenticator import Authenticator

ACCENTS = {"en": "Ida Wren", "fr": "Zoé Lefèvre"}


@pytest.mark.parametrize("locale", ["en-GB", "fr-FR"])
def test_sign_in_with_a_second_factor(desk, page, words):
    name = f"tina-{words.language}"
    bar, people = Navigation(page, words), People(page, words)
    desk.sign_in(page, words)
    bar.go_to("People")
    temporary = people.add(name, full_name=ACCENTS[words.language], role="Clerk")
    expect(people.heading).to_have_text(name)
    bar.sign_out()

    SignIn(page, words).enter(name, temporary)
    password = "several words of my own"
    OwnPassword(page, words).choose(password)
    account, form = Account(page, words), NewApplication(page, words)
    expect(form.button("Decide")).to_be_visible()
    account.open()
    setup = account.set_up_second_factor()
    assert setup.picture.evaluate("image => image.naturalWidth") > 100
    phone = Authenticator(setup.key)
    recovery = setup.confirm(phone.code(), password=password)
    codes = recovery.codes
    assert len(set(codes)) == 10
    recovery.go_on()
    expect(form.button("Decide")).to_be_visible()
    bar.sign_out()

    sign_in, second = SignIn(page, words), SignInCode(page, words)
    sign_in.enter(name, password)
    second.enter("000000")
    expect(second.wrong).to_be_visible()
    page.goto(f"{desk.url}/decisions")  # does not get past it
    code = phone.code()
    second.enter(code)
    page.wait_for_url("**/decisions")
    bar.sign_out()

    sign_in.enter(name, password)
    second.enter(code)  # seen over a shoulder
    expect(second.wrong).to_be_visible()
    second.enter(codes[0])
    expect(form.button("Decide")).to_be_visible()
