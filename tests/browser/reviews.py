"""The queue of reviews, and the part of a decision's page in which one is worked on."""

from playwright.sync_api import Locator, expect

from tests.browser.pages import DecisionPage, Navigation, Screen


class Queue(Screen):
    """The page *Reviews*."""

    def open(self) -> None:
        link = Navigation(self.page, self.words).bar.get_by_role("link")
        link.filter(has_text=self.words.starting_with("Reviews")).click()
        expect(self.heading).to_have_text(self.words("Reviews"))

    @property
    def next(self) -> Locator:
        return self.button("Take the next one")

    @property
    def rows(self) -> Locator:
        return self.page.get_by_role("main").get_by_role("listitem")

    def take_next(self) -> "ReviewPart":
        self.next.click()
        self.page.wait_for_url("**/decisions/*")
        return ReviewPart(self.page, self.words)


class ReviewPart(Screen):
    """The part *Review* of the page of a decision."""

    @property
    def decision(self) -> DecisionPage:
        return DecisionPage(self.page, self.words)

    @property
    def part(self) -> Locator:
        return self.decision.part("Review")

    @property
    def note(self) -> Locator:
        return self.part.get_by_label(self.words("Note, required if you overturn"))

    def choose(self, word: str, reason: str) -> None:
        self.part.get_by_label(self.words(word)).check()
        self.part.get_by_label(self.words("Reason"), exact=True).select_option(reason)

    def close(self) -> None:
        self.part.get_by_role("button", name=self.words("Close the review")).click()

    def give_to(self, name: str) -> None:
        self.part.get_by_text(self.words("Later, or by somebody else")).click()
        self.part.get_by_label(self.words("Give it to")).select_option(label=name)
        self.part.get_by_role("button", name=self.words("Give"), exact=True).click()
