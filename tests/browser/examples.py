"""An address of every page, and what must be stored for it.

A new page needs a line in `PAGES`; `test_accessibility.py` fails without one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.batches import Batches
from tests.browser.letters import make_letter
from tests.browser.pages import GRANTED, REFERRED, REFUSED, DecisionPage, NewApplication, Screen
from tests.browser.protected_pages import VoluntaryQuestions
from tests.browser.words import Words

# By endpoint; a name in braces is one of the numbers in `Stored`.
PAGES: dict[str, tuple[str, ...]] = {
    "applications.home": ("/",),
    "applications.new": ("/applications/new", "/applications/new?corrects={refused}"),
    "decisions.index": (
        "/decisions",
        "/decisions?after=1",
        "/decisions?decision=granted&amount_from=1&sort=amount_high",
        "/decisions?search=nothing",
    ),
    "decisions.show": (
        "/decisions/{granted}",
        "/decisions/{refused}",
        "/decisions/{tried}",
        "/decisions/{referred}",
        "/decisions/{claimed}",
        "/decisions/{reviewed}",
    ),
    "protected.answer": ("/decisions/{granted}/protected", "/decisions/{tried}/protected"),
    "letters.sheet": ("/decisions/{granted}/sheet", "/decisions/{refused}/sheet"),
    "letters.show": ("/decisions/{refused}/letters/1",),
    "reviews.index": ("/reviews",),
    "outcomes.index": ("/outcomes",),
    "batches.index": ("/batches",),
    "batches.show": ("/batches/{batch}", "/batches/{checked_file}"),
    "uploads.show": ("/uploads/{refused_file}",),
    "monitoring.show": ("/monitoring",),
    "monitoring.show_overrides": ("/monitoring/overrides",),
    "models.show": ("/model",),
    "challenger.show": ("/model/challenger",),
    "people.index": ("/people",),
    "people.new": ("/people/new",),
    "people.show": ("/people/{person}",),
    "keys.index": ("/keys",),
    "desk.show": ("/desk",),
    "retention.show": ("/retention",),
    "account.show": ("/account",),
    "account.password": ("/account/password",),
    "account.enrol": ("/account/second-factor",),
    "security.login": ("/login",),
}
# Pages of people who have a second factor; test_people_accessible.py opens them.
SECOND_FACTOR = frozenset({"account.code", "account.recovery_codes", "account.second_factor_off"})
# Only their owner may see these.
OWN = {"uploads.show": "analyst", "batches.show": "clerk", "protected.answer": "clerk"}
# Answers that are no pages of their own: files, and addresses that only lead to a page.
OTHERS = frozenset(
    {
        "decisions.trials",
        "letters.index",
        "reviews.assign",
        "reviews.claim",
        "reviews.close",
        "reviews.due",
        "reviews.note",
        "reviews.open_one",
        "reviews.release",
        "reviews.snooze",
        "reviews.take_next",
        "reviews.wake",
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
    referred: int
    claimed: int
    reviewed: int
    refused_file: int
    batch: int
    checked_file: int
    person: int

    def fill(self, address: str) -> str:
        return address.format(**vars(self))


def store_examples(pages: Mapping[str, Page], words: Words, url: str, folder: Path) -> Stored:
    """Enter what the examples show, on the pages of people who each have one role."""
    clerk, reviewer, admin = pages["clerk"], pages["reviewer"], pages["admin"]
    reviewed, claimed = (enter(clerk, words, url, REFERRED) for _ in range(2))
    grant(claim(reviewer, words, url, reviewed))
    claim(reviewer, words, url, claimed)
    tried = enter(clerk, words, url, REFUSED)
    clerk.locator("#trials button").click()
    clerk.wait_for_selector("#trials .trial")
    refused = enter(clerk, words, url, {**REFUSED, "monthly_income": "700"})
    make_letter(clerk, words)
    clerk.goto(f"{url}/decisions/{tried}/protected")
    VoluntaryQuestions(clerk, words).store()
    admin.goto(f"{url}/people")
    admin.get_by_role("main").get_by_role("link", name="only-clerk").click()
    admin.wait_for_url("**/people/*")
    return Stored(
        granted=enter(clerk, words, url, GRANTED),
        refused=refused,
        tried=tried,
        referred=enter(clerk, words, url, REFERRED),
        claimed=claimed,
        reviewed=reviewed,
        refused_file=send_bad_file(pages["analyst"], words, url, folder),
        batch=upload(clerk, words, url, folder, decide=True),
        checked_file=upload(clerk, words, url, folder, decide=False),
        person=last_number(admin),
    )


def claim(page: Page, words: Words, url: str, number: int) -> DecisionPage:
    page.goto(f"{url}/decisions/{number}")
    decision = DecisionPage(page, words)
    decision.button("Claim this review").click()
    expect(decision.button("Close the review")).to_be_visible()
    return decision


def grant(decision: DecisionPage) -> None:
    """Close a review that has been claimed."""
    part, words = decision.part("Review"), decision.words
    part.get_by_role("radio", name=words.starting_with("Grant the loan")).check()
    part.get_by_label(words("Reason"), exact=True).select_option(index=1)
    part.get_by_label(words.starting_with("Note")).first.fill("The instalment was checked")
    part.get_by_role("button", name=words("Close the review")).click()
    expect(decision.page.get_by_role("status")).to_be_visible()


def send_bad_file(page: Page, words: Words, url: str, folder: Path) -> int:
    file = folder / "outcomes.csv"
    file.write_text(BAD_FILE)
    page.goto(f"{url}/outcomes")
    page.set_input_files("input[type=file]", file)
    Screen(page, words).button("Record all").click()
    page.wait_for_url("**/uploads/*")
    return last_number(page)


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
