"""The pages of one's own account, of the second factor and of people, as people use them."""

from playwright.sync_api import Locator, expect

from tests.browser.pages import Screen


class Account(Screen):
    """One's own account, which the user name in the bar leads to."""

    def open(self) -> None:
        self.page.get_by_role("banner").get_by_title(self.words("My account")).click()
        expect(self.heading).to_have_text(self.words("My account"))

    def set_up_second_factor(self) -> "SecondFactorSetup":
        self.link("Set it up").click()
        return SecondFactorSetup(self.page, self.words)


class SecondFactorSetup(Screen):
    """Where an authenticator app gets its key."""

    @property
    def picture(self) -> Locator:
        return self.page.get_by_role("img", name=self.words("QR code of the key"))

    @property
    def key(self) -> str:
        return self.page.get_by_role("listitem").locator("code").inner_text()

    def confirm(self, code: str, *, password: str) -> "RecoveryCodes":
        self.page.get_by_label(self.words("Code"), exact=True).fill(code)
        self.page.get_by_label(self.words("Present password")).fill(password)
        self.button("Turn it on").click()
        return RecoveryCodes(self.page, self.words)


class OwnPassword(Screen):
    """Where a person replaces a password that an administrator has set."""

    def choose(self, password: str) -> None:
        expect(self.heading).to_have_text(self.words("Choose your password"))
        for label in ("New password", "New password again"):
            self.page.get_by_label(self.words(label), exact=True).fill(password)
        self.button("Go on").click()


class RecoveryCodes(Screen):
    """The codes that are shown once."""

    @property
    def codes(self) -> list[str]:
        expect(self.heading).to_have_text(self.words("Recovery codes"))
        return self.page.get_by_role("main").get_by_role("listitem").all_inner_texts()

    def go_on(self) -> None:
        self.link("I have kept them").click()


class SignInCode(Screen):
    """The second step of a sign-in."""

    @property
    def wrong(self) -> Locator:
        return self.page.get_by_text(self.words("This code is wrong, or was used before."))

    def enter(self, code: str) -> None:
        expect(self.heading).to_have_text(self.words("Second factor"))
        self.page.get_by_label(self.words("Code"), exact=True).fill(code)
        self.page.keyboard.press("Enter")


class People(Screen):
    """Where an admin manages people."""

    def add(self, username: str, *, full_name: str, role: str) -> str:
        """Add a person, and return the password that is shown."""
        self.link("Add a person").click()
        self.page.get_by_label(self.words("User name")).fill(username)
        self.page.get_by_label(self.words.starting_with("Full name")).fill(full_name)
        self.page.get_by_role("checkbox", name=self.words(role), exact=True).check()
        self.button("Add").dblclick(delay=50)  # is sent once: its answer is shown only once
        password = self.page.locator("#secret").inner_text()
        self.link("Done").click()
        return password

    def set_password(self) -> str:
        """Set a new password of the person whose page is open, and return the one that is shown."""
        self.page.locator("summary").get_by_text(self.words("Set a new password")).click()
        self.button("Set a new password").click()
        return self.page.locator("#secret").inner_text()
