"""The letters of a decision as people use them."""

import re

from playwright.sync_api import Locator, Page

from tests.browser.pages import DecisionPage, Screen
from tests.browser.words import Words

PAPERS = {"eu": (595, 842), "us": (612, 792)}  # A4 and Letter, in points


class LettersPart(Screen):
    """The part of a decision's page with its letters and the form of a new one."""

    @property
    def _part(self) -> Locator:
        return DecisionPage(self.page, self.words).part("Letters")

    @property
    def made(self) -> Locator:
        return self._part.get_by_role("listitem")

    @property
    def _invitation(self) -> re.Pattern[str]:
        texts = ("Write a letter to the applicant", "Write another letter to the applicant")
        return re.compile("|".join(re.escape(self.words(text)) for text in texts))

    def open_form(self) -> None:
        self._part.get_by_text(self._invitation).click()

    def choose(self, language: str) -> None:
        self._part.get_by_label(language, exact=True).check()

    def address(self, text: str) -> None:
        self._part.get_by_label(self.words("Name and address (optional)")).fill(text)


def make_letter(page: Page, words: Words, language: str = "") -> None:
    """Make a letter on the decision whose page is open, by default in the page's language."""
    part = LettersPart(page, words)
    part.open_form()
    if language:
        part.choose(language)
    part.button("Make the letter").click()
    page.wait_for_url("**/letters/*")


class LetterPage(Screen):
    """A letter, or its preview."""

    @property
    def letter(self) -> Locator:
        return self.page.locator("article.letter")

    @property
    def stamp(self) -> Locator:
        return self.page.locator(".stamp")

    def pages_in_pdf(self, *, regime: str = "eu") -> int:
        """Print it as PDF, on the paper of a regime, and count the pages."""
        pdf = self.page.pdf(prefer_css_page_size=True)
        boxes = re.findall(rb"/MediaBox\s*\[\s*0 0 ([0-9.]+) ([0-9.]+)\s*\]", pdf)
        assert {(round(float(w)), round(float(h))) for w, h in boxes} == {PAPERS[regime]}
        return len(re.findall(rb"/Type\s*/Page\b", pdf))
