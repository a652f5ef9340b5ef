"""The pages of batches as people use them."""

import re
from pathlib import Path
from typing import Self

from playwright.sync_api import Locator, expect

from tests.browser.pages import Screen

MILLISECONDS = 60_000  # until a large file is checked or decided


class Batches(Screen):
    """The list with its upload, and the page of one file."""

    def open(self, url: str) -> Self:
        self.page.goto(f"{url}/batches")
        return self

    def upload(self, file: Path) -> None:
        """Choose a file and have it checked; the page of what came of it opens."""
        self.page.get_by_label(self.words("CSV file")).set_input_files(file)
        self.button("Check the file").click()
        self.page.wait_for_url(re.compile(r"/(batches|uploads)/\d+$"), timeout=MILLISECONDS)

    @property
    def deciding(self) -> Locator:
        """The button that has all applications decided."""
        return self.page.locator("form[action$='/decide'] button")

    @property
    def progress(self) -> Locator:
        return self.page.get_by_role("progressbar")

    @property
    def result(self) -> Locator:
        return self.link("Download the result (CSV)")

    def decide(self, count: int) -> None:
        """Have all applications decided, and wait until they are."""
        expect(self.deciding).to_be_visible()
        assert int(re.sub(r"\D", "", self.deciding.inner_text())) == count
        self.deciding.click()
        expect(self.result).to_be_visible(timeout=MILLISECONDS)

    def figures(self) -> list[int]:
        """Return how many applications there are, and of each decision."""
        texts = self.page.locator("dd.number").all_inner_texts()
        return [int(re.sub(r"\D", "", text)) for text in texts]

    @property
    def errors(self) -> Locator:
        """The lines of the table of errors, without the head."""
        return self.page.get_by_role("row").filter(has=self.page.get_by_role("cell"))
