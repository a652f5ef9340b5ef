"""What a browser and axe-core find wrong with a page."""

import re
from dataclasses import dataclass, field

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import BrowserContext, ConsoleMessage, Page

from tests.browser.words import Words

HEIGHT = 800
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OPTIONS = {"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]}
RUN = """async options => (await axe.run(document, options)).violations.map(
    v => `${v.id}: ${v.nodes.map(n => n.target.join(" ") + " " + n.failureSummary).join("; ")}`)"""
TOO_WIDE = """() => [...document.querySelectorAll("body *")]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 0.5)
    .filter(e => !e.closest(".table-responsive, .visually-hidden, .visually-hidden-focusable"))
    .map(e => e.outerHTML.slice(0, 90))"""
# Texts in the language of the page, without names in code.
SAID = """() => {
    const own = e => e && !e.closest("code") && e.closest("[lang]") === document.documentElement;
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const said = [];
    while (walker.nextNode())
        if (own(walker.currentNode.parentElement)) said.push(walker.currentNode.data);
    for (const e of document.querySelectorAll("[aria-label], [title], [alt]"))
        if (own(e)) said.push(e.ariaLabel, e.title, e.alt);
    return said.filter(Boolean).map(t => t.trim().replace(/\\s+/g, " "));
}"""
DECIMAL_POINT = re.compile(r"[0-9]\.[0-9]")


@dataclass
class Inspected:
    """A page, and what it has logged and requested that it must not."""

    page: Page
    wrong: list[str] = field(default_factory=list)

    def show(self, width: int, theme: str) -> None:
        """Show the page in a width and a theme."""
        self.page.set_viewport_size({"width": width, "height": HEIGHT})
        self.page.emulate_media(color_scheme=theme)
        self.page.wait_for_selector(f"html[data-bs-theme={theme}]")

    def findings(self) -> list[str]:
        """Return what axe finds in the page as it is shown now."""
        found: list[str] = self.page.evaluate(RUN, OPTIONS)
        return found

    def not_in(self, words: Words) -> list[str]:
        """Return texts of the page that are in English although the page is in French."""
        said: list[str] = self.page.evaluate(SAID)
        return [t for t in said if t in words.foreign() or DECIMAL_POINT.search(t)]

    def scrolls_sideways(self) -> list[str]:
        """Return what makes the page wider than the screen."""
        wider = "document.documentElement.scrollWidth > innerWidth"
        if not self.page.evaluate(wider):
            return []
        return self.page.evaluate(TOO_WIDE) or ["something"]


def inspect(context: BrowserContext) -> Inspected:
    """Open a page with axe, which needs no permission of the content security policy."""
    context.add_init_script(AXE_SCRIPT)
    page = context.new_page()
    inspected = Inspected(page)
    page.on("pageerror", lambda error: inspected.wrong.append(str(error)))
    page.on("console", lambda m: inspected.wrong.append(m.text) if is_wrong(m) else None)
    page.on("request", lambda r: None if is_own(r.url) else inspected.wrong.append(r.url))
    return inspected


def is_own(url: str) -> bool:
    return url.startswith(("http://127.0.0.1", "data:", "about:"))


def is_wrong(message: ConsoleMessage) -> bool:
    """Whether a page logs an error, apart from the status of the page itself."""
    own_status = "the server responded with a status of" in message.text
    return message.type in ("error", "warning") and not own_status
