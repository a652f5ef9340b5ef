"""Reviews in real browsers: from a referral to the final word, and two reviewers at once."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.pages import REFERRED, Navigation, NewApplication, Screen, SignIn
from tests.browser.reviews import Queue, ReviewPart

IN_BOTH = pytest.mark.parametrize("locale", ["en-GB", "fr-FR"])


@pytest.fixture
def enter(chromium, locale, words):
    """Let people with these roles sign in to a desk, each with a browser of his or her own."""
    contexts = []

    def sign_in(desk, name, *roles):
        chosen = [option for role in roles for option in ("--role", role)]
        password = desk.flask("users", "create", name, *chosen)
        context = chromium.new_context(locale=locale)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.goto(f"{desk.url}/login")
        SignIn(page, words).enter(name, password)
        expect(Screen(page, words).button("Sign out")).to_be_visible()
        return page

    yield sign_in
    for context in contexts:
        context.close()


def number_of(page):
    """Return the number of the decision that is open."""
    return int(re.search(r"/decisions/(\d+)", page.url)[1])


@IN_BOTH
def test_from_a_referral_to_the_final_word(open_desk, enter, words):
    with open_desk() as desk:
        clerk, anna = enter(desk, "carla", "clerk"), enter(desk, "anna", "reviewer")
        decision = NewApplication(clerk, words).enter(REFERRED)
        number = decision.number
        expect(decision.heading).to_contain_text(words("Referred"))
        queue = Queue(anna, words)
        queue.open()
        expect(queue.rows.filter(has_text=words("the model would grant"))).to_have_count(1)
        expect(queue.next).to_be_focused()
        anna.keyboard.press("Enter")
        anna.wait_for_url(f"**/decisions/{number}*")
        review = ReviewPart(anna, words)
        review.choose("Refuse the loan, against the model", "affordability")
        review.close()
        expect(review.part).to_contain_text(words("Say why in a note."))
        review.note.fill("150 EUR a month are left after the rent.")
        review.close()
        expect(queue.page.get_by_role("status")).to_contain_text(words("the model was overturned"))
        clerk.reload()
        expect(clerk.get_by_role("main")).to_contain_text(words("Refused after a review"))
        expect(clerk.get_by_role("main")).to_contain_text("150 EUR a month")
        expect(decision.part("History")).to_contain_text("anna")


def test_two_reviewers_at_once(open_desk, enter, words, database_url):
    """On both databases: never the same review, and nothing that is typed is lost."""
    with open_desk(database_url) as desk:
        clerk = enter(desk, "carla", "clerk")
        for _ in range(3):
            NewApplication(clerk, words).enter(REFERRED)
            Navigation(clerk, words).go_to("New application")
        pages = {name: enter(desk, name, "reviewer") for name in ("anna", "boris")}
        queues = {name: Queue(page, words) for name, page in pages.items()}
        for queue in queues.values():
            expect(queue.next).to_be_focused()  # a reviewer's first page
        for page in pages.values():
            page.keyboard.press("Enter")  # without waiting for the other
        for page in pages.values():
            page.wait_for_url("**/decisions/*")
        numbers = {
            name: int(re.search(r"\d+", p.url.rpartition("/")[2])[0]) for name, p in pages.items()
        }
        assert numbers["anna"] != numbers["boris"]
        boris, anna = ReviewPart(pages["boris"], words), ReviewPart(pages["anna"], words)
        boris.choose("Grant the loan, as the model says", "income_verified")
        boris.note.fill("Three payslips seen.")
        anna.page.goto(f"{desk.url}/decisions/{numbers['boris']}")
        anna.give_to("anna")
        expect(anna.part).to_contain_text(words("Close the review"))
        boris.close()
        expect(boris.alert).to_contain_text("anna has this review now. Nothing was changed.")
        expect(boris.alert.get_by_role("textbox")).to_have_value("Three payslips seen.")
        anna.choose("Grant the loan, as the model says", "income_verified")
        anna.close()
        expect(queues["anna"].rows.filter(has_text="yours")).to_have_count(1)
        anna.page.keyboard.press("Enter")  # the next one
        anna.page.wait_for_url("**/decisions/*")
        queues["boris"].open()
        expect(queues["boris"].next).to_have_count(0)
        expect(queues["boris"].rows.filter(has_text="anna")).to_have_count(2)


def test_a_double_click_takes_one_and_closes_it(open_desk, enter, words):
    with open_desk() as desk:
        clerk, anna = enter(desk, "carla", "clerk"), enter(desk, "anna", "reviewer")
        for _ in range(2):
            NewApplication(clerk, words).enter(REFERRED)
            Navigation(clerk, words).go_to("New application")
        queue, review = Queue(anna, words), ReviewPart(anna, words)
        queue.open()
        queue.next.dblclick()
        anna.wait_for_url("**/decisions/*")
        review.choose("Grant the loan, as the model says", "income_verified")
        review.part.get_by_role("button", name="Close the review").dblclick()
        expect(anna.get_by_role("status")).to_contain_text("upheld")
        expect(queue.rows).to_have_count(1)
        expect(queue.rows.filter(has_text="yours")).to_have_count(0)
