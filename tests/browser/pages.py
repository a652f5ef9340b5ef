"""The pages of the desk as people use them: everything is found by its role and visible name.

An object is made from a Playwright page and the words of a language. One that outgrows a screen
moves to a file of its own beside this one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from playwright.sync_api import Locator, Page, expect

from tests.browser.words import Words

GRANTED = {
    "loan_amount": "3000",
    "purchase_price": "8000",
    "loan_term_months": "24",
    "employment_type": "permanent",
    "years_in_job": "12",
    "monthly_income": "2500",
    "monthly_expenses": "300",
    "home_status": "owner",
    "assets": "60000",
    "outstanding_debt": "0",
    "adverse_credit_record": "0",
}
# More than the applicant can pay back in six months: a rule of the product refers it.
REFERRED = {
    **GRANTED,
    "loan_amount": "50000",
    "purchase_price": "50000",
    "loan_term_months": "6",
    "monthly_income": "1200",
}
REFUSED = {
    "loan_amount": "9000",
    "purchase_price": "9000",
    "loan_term_months": "60",
    "employment_type": "temporary",
    "years_in_job": "0",
    "monthly_expenses": "300",
    "home_status": "renting",
    "adverse_credit_record": "1",
}
REFUSED_BY_MODEL = {**REFUSED, "monthly_income": "700"}  # known, so no rule refers it


@dataclass(frozen=True)
class Screen:
    """What all pages have."""

    page: Page
    words: Words

    @property
    def heading(self) -> Locator:
        return self.page.get_by_role("heading", level=1)

    @property
    def alert(self) -> Locator:
        return self.page.get_by_role("alert")

    def link(self, name: str) -> Locator:
        return self.page.get_by_role("main").get_by_role("link", name=self.words(name), exact=True)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=self.words(name), exact=True)


class Navigation(Screen):
    """The bar at the top of every page."""

    @property
    def bar(self) -> Locator:
        return self.page.get_by_role("navigation", name=self.words("Main"))

    def go_to(self, name: str) -> None:
        self.bar.get_by_role("link", name=self.words(name), exact=True).click()

    def speak(self, language: str) -> None:
        self.page.get_by_role("button", name=language, exact=True).click()

    def sign_out(self) -> None:
        self.button("Sign out").click()
        expect(SignIn(self.page, self.words).heading).to_have_text(self.words("Sign in"))


class SignIn(Screen):
    """Where a session begins."""

    def enter(self, username: str, password: str) -> None:
        self.page.get_by_label(self.words("User name")).fill(username)
        self.page.get_by_label(self.words("Password"), exact=True).fill(password)
        self.button("Sign in").click()


class NewApplication(Screen):
    """The form of an application; values are given by the names of the product's fields."""

    def answer(self, field: str, value: str) -> None:
        label = re.compile(f"^{re.escape(self.words.label(field))}(?! \\w)")
        match self.words.product.by_name[field].kind:
            case "integer":
                self.page.get_by_label(label).fill(value)
            case "choice":
                chosen = self.words.choice(field, value)
                self.page.get_by_label(label).select_option(label=chosen)
            case "flag":
                group = self.page.get_by_role("group", name=self.words.label(field))
                group.get_by_label(self.words("Yes" if value == "1" else "No")).check()

    def field(self, field: str) -> Locator:
        """Find the control of a number or a choice."""
        label = re.compile(f"^{re.escape(self.words.label(field))}(?! \\w)")
        return self.page.get_by_label(label)

    def fill(self, values: Mapping[str, str]) -> None:
        for field, value in values.items():
            self.answer(field, value)

    def expect_values(self, values: Mapping[str, str]) -> None:
        """Expect these answers in the form, and no others."""
        for field in self.words.product.inputs:
            if field.kind == "flag":
                checked = self.page.get_by_role("group", name=self.words.label(field.name))
                count = 1 if field.name in values else 0
                expect(checked.get_by_role("radio", checked=True)).to_have_count(count)
            else:
                expect(self.field(field.name)).to_have_value(values.get(field.name, ""))

    def figure(self, name: str) -> Locator:
        """Find a figure that is shown beside the form, by its name."""
        return self.page.get_by_role("main").locator("dt", has_text=name).locator("+ dd")

    def decide(self) -> None:
        self.button("Decide").click()

    def decide_all_the_same(self) -> None:
        self.button("Decide all the same").click()

    def enter(self, values: Mapping[str, str]) -> "DecisionPage":
        """Fill the form in, send it and wait for the decision."""
        self.fill(values)
        self.decide()
        self.page.wait_for_url("**/decisions/*")
        return DecisionPage(self.page, self.words)


class DecisionPage(Screen):
    """One decision and why it was made."""

    @property
    def number(self) -> int:
        return int(self.page.url.partition("?")[0].rpartition("/")[2])

    @property
    def verdict(self) -> Locator:
        return self.page.locator("section[aria-labelledby=verdict]")

    def part(self, name: str) -> Locator:
        """Find a part of the page by its heading, such as "Why"."""
        return self.page.get_by_role("region", name=self.words(name))

    def next_application(self) -> None:
        self.link("Next application").click()

    def try_values(self, values: Mapping[str, str]) -> Locator:
        """Try other values of the fields that the applicant can change; return the result."""
        for field, value in values.items():
            self.page.get_by_label(self.words.label(field)).fill(value)
        self.button("Try these values").click()
        return self.page.get_by_role("status")

    def correct(self, link: str = "Correct") -> NewApplication:
        """Open the form that corrects this decision."""
        self.link(link).click()
        self.page.wait_for_url("**/applications/new?*")
        return NewApplication(self.page, self.words)


class DecisionList(Screen):
    """The list of decisions."""

    @property
    def rows(self) -> Locator:
        return self.page.get_by_role("main").get_by_role("row")

    def search(self, text: str) -> None:
        self.page.get_by_label(self.words("Reference or number")).fill(text)
        self.button("Show").click()

    def open_part(self, name: str) -> None:
        """Open a part that is folded, such as the filter."""
        self.page.get_by_role("main").locator("summary", has_text=self.words(name)).click()

    def narrow(self, label: str, value: str) -> None:
        """Fill a field of the filter in, and show what it finds."""
        self.page.get_by_label(self.words(label), exact=True).fill(value)
        self.button("Show").click()

    def export(self, *, personal: bool) -> str:
        """Download the list, and return the text of the file."""
        self.open_part("Export as CSV")
        self.page.locator("#personal").set_checked(personal)
        with self.page.expect_download() as started:
            self.button("Export").click()
        return started.value.path().read_text(encoding="utf-8-sig")
