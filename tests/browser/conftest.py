"""A real Chromium, and how a clerk comes in with it."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import pytest
from flask import Flask
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Page,
    StorageState,
    expect,
    sync_playwright,
)

from ml.product.definition import Product
from tests.browser.examples import Stored, store_examples
from tests.browser.pages import REFUSED_BY_MODEL, NewApplication, Screen, SignIn
from tests.browser.words import Words
from tests.fixtures.databases import disconnect
from tests.fixtures.desk import config_from
from tests.fixtures.machine import need
from webapp import create_app
from webapp.people.access import ROLES

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = need("chromium", "apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def locale() -> str:
    return "en-GB"


@pytest.fixture
def words(locale: str, product: Product) -> Words:
    return Words(locale.partition("-")[0], product)


@pytest.fixture
def refusals() -> set[int]:
    """The statuses of pages that the tests of a module expect beside 200."""
    return {422}  # wrong values


@pytest.fixture
def page(chromium: Browser, locale: str, refusals: set[int]) -> Iterator[Page]:
    """A page that fails its test on any error it logs or any request to another host."""
    context = chromium.new_context(locale=locale)
    page = context.new_page()
    page.set_default_timeout(15_000)
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda m: wrong.append(m.text) if logged_error(m, refusals) else None)
    page.on(
        "request",
        lambda r: None if r.url.startswith(("http://127.0.0.1", "data:")) else wrong.append(r.url),
    )
    yield page
    context.close()
    assert wrong == []


def logged_error(message: ConsoleMessage, refusals: set[int]) -> bool:
    """Whether it is an error other than an expected refusal; /nowhere is not there."""
    nowhere = "status of 404" in message.text and message.location["url"].endswith("/nowhere")
    expected = any(f"status of {status}" in message.text for status in refusals)
    return message.type == "error" and not expected and not nowhere


@dataclass(frozen=True)
class Desk:
    """A running service and how to come in."""

    url: str
    password: str
    flask: Callable[..., str]  # runs a command, and returns its last line
    environment: dict[str, str]

    def sign_in(self, page: Page, words: Words) -> NewApplication:
        """Let the first user sign in, and return the page that comes first."""
        page.goto(self.url)
        SignIn(page, words).enter("admin", self.password)
        form = NewApplication(page, words)
        expect(form.button("Decide")).to_be_visible()
        return form

    def decisions(self, page: Page) -> int:
        """Return the number of the newest decision, and leave the page open that is."""
        answer = page.context.request.get(f"{self.url}/decisions")
        assert answer.ok
        newest = re.search(r'href="/decisions/(\d+)"', answer.text())
        return int(newest[1]) if newest else 0


@pytest.fixture(scope="session")
def open_desk(start_server, tmp_path_factory) -> Callable[..., AbstractContextManager[Desk]]:
    """Start the service and know the first user's password."""

    @contextmanager
    def start(database_url: str = "") -> Iterator[Desk]:
        with start_server(tmp_path_factory.mktemp("desk"), database_url) as server:
            password = server.flask("users", "set-password", "admin")
            yield Desk(server.url, password, server.flask, server.environment)

    return start


@pytest.fixture(scope="session")
def desk(open_desk) -> Iterator[Desk]:
    """One service for all tests that do not mind what others enter."""
    with open_desk() as one:
        yield one


@pytest.fixture(scope="session")
def desk_app(desk: Desk) -> Iterator[Flask]:
    """The application with the settings of the running service, in this process."""
    app = create_app(config_from(desk.environment))
    yield app
    disconnect(app)


@pytest.fixture(scope="session")
def role_states(chromium: Browser, desk: Desk, product: Product) -> dict[str, StorageState]:
    """The cookies of a person of each role who has signed in."""
    states = {}
    for role in ROLES:
        name = f"only-{role}"
        password = desk.flask("users", "create", name, "--role", role)
        states[role] = sign_in_once(chromium, desk.url, Words("en", product), name, password)
    return states


def sign_in_once(
    chromium: Browser, url: str, words: Words, name: str, password: str
) -> StorageState:
    """Sign a person in, and return the cookies."""
    context = chromium.new_context(locale="en-GB")
    page = context.new_page()
    page.goto(f"{url}/login")
    SignIn(page, words).enter(name, password)
    expect(Screen(page, words).button("Sign out")).to_be_visible()
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture(scope="session")
def stored(
    chromium: Browser,
    desk: Desk,
    product: Product,
    role_states: dict[str, StorageState],
    tmp_path_factory: pytest.TempPathFactory,
) -> Stored:
    """The examples that the pages show."""
    contexts = {
        role: chromium.new_context(locale="en-GB", storage_state=state)
        for role, state in role_states.items()
    }
    pages = {role: context.new_page() for role, context in contexts.items()}
    folder = tmp_path_factory.mktemp("files")
    stored = store_examples(pages, Words("en", product), desk.url, folder)
    for context in contexts.values():
        context.close()
    return stored


@pytest.fixture
def refuse(words: Words) -> Callable[[Page], None]:
    """Enter an application that the model refuses."""

    def enter(page: Page) -> None:
        decision = NewApplication(page, words).enter(REFUSED_BY_MODEL)
        expect(decision.verdict).to_contain_text(words("Refused"))

    return enter
