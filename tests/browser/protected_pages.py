"""The page of the voluntary questions as people use it."""

from playwright.sync_api import Locator

from tests.browser.pages import Screen


class VoluntaryQuestions(Screen):
    """Questions about the protected fields of a product, after a decision."""

    @property
    def link(self) -> Locator:
        """Find the link to it on the page of a decision."""
        return self.page.get_by_role("link", name=self.words("Voluntary questions for fairness"))

    def open(self) -> None:
        self.link.click()

    def answer(self, question: str, answer: str) -> None:
        group = self.page.get_by_role("group", name=question)
        group.get_by_label(answer, exact=True).check()

    def store(self) -> None:
        self.button("Store the answers").click()
