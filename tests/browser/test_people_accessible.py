"""Tests with axe of the pages that follow a form: passwords, keys, the second factor, refusals."""

import pytest

from tests.browser.axe import inspect
from tests.browser.pages import SignIn
from tests.browser.people import Account, People, SecondFactorSetup
from tests.fixtures.authenticator import Authenticator
from webapp.people.throttle import MAX_OF_ACCOUNT

WIDTHS = {"light": 1280, "dark": 320}


@pytest.fixture(params=["en-GB", "fr-FR"])
def locale(request):
    return request.param


@pytest.fixture
def inspected(chromium, locale):
    context = chromium.new_context(locale=locale, reduced_motion="reduce")
    yield inspect(context)
    context.close()


@pytest.fixture
def look(inspected, locale):
    """Note what is wrong with the page that is open, under a name."""
    found = []

    def examine(name):
        for theme, width in WIDTHS.items():
            inspected.show(width, theme)
            found.extend((name, theme, wrong) for wrong in inspected.findings())
            found.extend((name, width, wrong) for wrong in inspected.scrolls_sideways())

    yield examine
    assert found == []
    assert inspected.wrong == []


def test_pages_of_a_second_factor(desk, inspected, look, words):
    page, name = inspected.page, f"sam-{words.language}"
    password = desk.flask("users", "create", name)
    page.goto(desk.url)
    SignIn(page, words).enter(name, password)
    Account(page, words).open()
    setup = Account(page, words).set_up_second_factor()
    phone = Authenticator(setup.key)
    setup.confirm("000000", password=password)
    look("a wrong code in the setup")
    SecondFactorSetup(page, words).confirm(phone.code(), password=password).go_on()
    for path in ("/account", "/account/recovery-codes", "/account/second-factor/off"):
        page.goto(desk.url + path)
        look(path)
    page.goto(f"{desk.url}/account/recovery-codes")
    page.get_by_label(words("Present password")).fill(password)
    page.keyboard.press("Enter")
    page.get_by_role("link", name=words("I have kept them")).wait_for()
    look("recovery codes")
    page.context.clear_cookies()
    page.goto(desk.url)
    SignIn(page, words).enter(name, password)
    page.get_by_label(words("Code"), exact=True).wait_for()
    look("the code of a sign-in")


def test_pages_with_a_secret_and_a_refusal(desk, inspected, look, words):
    page, name = inspected.page, f"ann-{words.language}"
    password = desk.flask("users", "create", name, "--role", "admin")
    page.goto(desk.url)
    SignIn(page, words).enter(name, password)
    page.goto(f"{desk.url}/people/new")
    page.get_by_role("button", name=words("Add"), exact=True).click()
    look("a person without a name and a role")
    page.get_by_label(words("User name")).fill(f"new-{words.language}")
    page.get_by_role("checkbox", name=words("Analyst"), exact=True).check()
    page.keyboard.press("Enter")
    page.locator("#secret").wait_for()
    look("a password")
    page.get_by_role("link", name=words("Done")).click()
    temporary = People(page, words).set_password()
    page.go_back()
    page.locator("summary").first.click()
    look("a person")
    page.goto(f"{desk.url}/keys")
    page.get_by_label(words("Name of the other system")).fill(f"system-{words.language}")
    page.keyboard.press("Enter")
    page.locator("#secret").wait_for()
    look("a key")
    page.goto(f"{desk.url}/keys")
    look("keys")
    page.context.clear_cookies()
    page.goto(desk.url)
    SignIn(page, words).enter(f"new-{words.language}", temporary)
    page.get_by_role("heading", name=words("Choose your password")).wait_for()
    look("the first password of one's own")


def test_page_of_too_many_tries(desk, inspected, look, words):
    page = inspected.page
    for _ in range(MAX_OF_ACCOUNT + 1):
        page.goto(f"{desk.url}/login")
        SignIn(page, words).enter(f"nobody-{words.language}", "wrong password")
        page.wait_for_load_state()
    assert page.get_by_role("heading", level=1).inner_text() == words("Too many wrong attempts")
    look("too many tries")
