"""An address of every page, and what must be stored for it.

A new page needs a line in `PAGES`; `test_accessibility.py` fails without one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page

from tests.browser.batches import Batches
from tests.browser.letters import make_letter
from tests.browser.pages import GRANTED, REFUSED, NewApplication, Screen
from tests.browser.protected_pages import VoluntaryQuestions
from tests.browser.words import Words

# By endpoint; a name in braces is one of the numbers in `Stored`.
PAGES: dict[str, tuple[str, ...]] = {
    "applications.home": ("/",),
    "applications.new": ("/applications/new",),
    "decisions.index": ("/decisions", "/decisions?before=1"),
    "decisions.show": ("/decisions/{granted}", "/decisions/{refused}", "/decisions/{tried}"),
    "letters.show": ("/decisions/{refused}/letters/1",),
    "letters.sheet": ("/decisions/{granted}/sheet", "/decisions/{refused}/sheet"),
    "protected.answer": ("/decisions/{granted}/protected", "/decisions/{tried}/protected"),
    "outcomes.index": ("/outcomes",),
    "batches.index": ("/batches",),
    "batches.show": ("/batches/{batch}", "/batches/{checked_file}"),
    "uploads.show": ("/uploads/{refused_file}",),
    "monitoring.show": ("/monitoring",),
    "models.show": ("/model",),
    "challenger.show": ("/model/challenger",),
    "account.show": ("/account",),
    "account.password": ("/account/password",),
    "account.enrol": ("/account/second-factor",),
    "people.index": ("/people",),
    "people.new": ("/people/new",),
    "people.show": ("/people/2",),  # the first user
    "keys.index": ("/keys",),
    "security.login": ("/login",),
}
# Only their owner may see these.
OWN = {"uploads.show": "analyst", "batches.show": "clerk", "protected.answer": "clerk"}
# Answers that are no pages of their own: files, and addresses that only lead to a page.
OTHERS = frozenset(
    {
        "decisions.trials",
        "letters.index",
        # Only with a second factor: test_people_accessible.py looks at them.
        *("account.code", "account.recovery_codes", "account.second_factor_off"),
        "outcomes.show",
        "outcomes.template",
        *("batches.template", "batches.reload", "batches.result"),
        "uploads.errors",
        "models.plot",
        "models.download",
        "health.healthz",
        "health.readyz",
        "health.metrics_page",
        "static",
    }
)
BAD_FILE = "id,outcome,date\nx,good,2026-01-31\n1,perhaps,2026-01-31\n"


@dataclass(frozen=True)
class Stored:
    """The numbers of what is stored for the examples."""

    granted: int
    refused: int
    tried: int
    refused_file: int
    batch: int
    checked_file: int

    def fill(self, address: str) -> str:
        return address.format(**vars(self))


def store_examples(pages: Mapping[str, Page], words: Words, url: str, folder: Path) -> Stored:
    """Enter what the examples show, on the pages of people who each have one role."""
    clerk, analyst = pages["clerk"], pages["analyst"]
    granted, refused, tried = (
        enter(clerk, words, url, values) for values in (GRANTED, REFUSED, REFUSED)
    )
    clerk.locator("#trials button").click()
    clerk.wait_for_selector("#trials .trial")
    clerk.goto(f"{url}/decisions/{refused}")
    make_letter(clerk, words)
    clerk.goto(f"{url}/decisions/{tried}/protected")
    VoluntaryQuestions(clerk, words).store()
    file = folder / "outcomes.csv"
    file.write_text(BAD_FILE)
    analyst.goto(f"{url}/outcomes")
    analyst.set_input_files("input[type=file]", file)
    Screen(analyst, words).button("Record all").click()
    analyst.wait_for_url("**/uploads/*")
    return Stored(
        granted,
        refused,
        tried,
        refused_file=last_number(analyst),
        batch=upload(clerk, words, url, folder, decide=True),
        checked_file=upload(clerk, words, url, folder, decide=False),
    )


def upload(page: Page, words: Words, url: str, folder: Path, *, decide: bool) -> int:
    """Upload a file of applications, decide it if wanted, and return its number."""
    file = folder / "applications.csv"
    rows = ({name: values.get(name, "") for name in GRANTED} for values in (GRANTED, REFUSED))
    lines = [",".join(GRANTED), *(",".join(row.values()) for row in rows)]
    file.write_text("\n".join(lines))
    batches = Batches(page, words).open(url)
    batches.upload(file)
    if decide:
        batches.decide(2)
    return last_number(page)


def enter(page: Page, words: Words, url: str, values: Mapping[str, str]) -> int:
    page.goto(f"{url}/applications/new")
    return NewApplication(page, words).enter(values).number


def last_number(page: Page) -> int:
    return int(page.url.rpartition("/")[2])
