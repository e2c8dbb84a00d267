"""A person at the page, on which each model of a server can be tried."""

from __future__ import annotations

import json
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, ViewportSize, expect

from tests.page.browser import Complaints

DESKTOP, PHONE = ViewportSize(width=1280, height=900), ViewportSize(width=390, height=844)
SECONDS = 60_000.0  # milliseconds: an answer on a busy machine
# Keeps the last answer's text, which Chromium itself may have dropped by the time a test asks for it.
LAST_ANSWER = """
const unchanged = window.fetch;
window.fetch = async (...call) => {
  const answer = await unchanged(...call);
  if (String(call[0]).includes("/predictions/")) window.lastAnswer = answer.clone().text();
  return answer;
};
"""


class Visit:
    """address: of the server, with the path before /page/."""

    def __init__(self, browser: Browser, address: str, size: ViewportSize = DESKTOP, key: str = "") -> None:
        context = browser.new_context(viewport=size, ignore_https_errors=True)
        context.add_init_script(LAST_ANSWER)
        self.page = context.new_page()
        self.page.set_default_timeout(SECONDS)
        self.complaints = Complaints(self.page)
        self.page.goto(f"{address}/page/")
        self.key = self.page.get_by_label("Key", exact=True)
        if key:
            self.key.fill(key)

    def close(self) -> None:
        self.page.context.close()

    @property
    def answer(self) -> Locator:
        return self.page.get_by_role("region", name="Answer")

    @property
    def problem(self) -> Locator:
        return self.page.get_by_role("alert")

    def choose(self, model: str) -> None:
        """A form as it is at first, of the model that is there already as well."""
        self.page.evaluate("location.hash = ''")
        expect(self.page.get_by_role("heading", level=1)).to_have_count(0)
        self.page.get_by_role("link", name=f"{model} ").click()
        expect(self.page.get_by_role("heading", level=1)).to_have_text(model)

    def take_sample(self) -> None:
        self.page.get_by_role("button", name="Use the sample").click()
        expect(self.page.get_by_role("button", name="Ask")).to_be_enabled()

    def ask(self) -> Any:
        """The answer, as the page has it; one that is too long to be shown whole, as it came."""
        self.page.get_by_role("button", name="Ask").click()
        expect(self.answer.get_by_role("status").first).to_contain_text("Answered", timeout=SECONDS)
        if self.answer.get_by_text("“Copy” takes all").count():
            return json.loads(self.page.evaluate("window.lastAnswer"))
        return self.json("JSON", self.answer)

    def json(self, name: str, within: Locator) -> Any:
        within.locator("summary", has_text="JSON").click()
        return json.loads(within.get_by_role("region", name=name, exact=True).inner_text())

    def copied(self, language: str) -> str:
        """The call as a command or a program."""
        self.answer.locator("details", has_text="Copy as").evaluate("details => { details.open = true }")
        self.answer.get_by_label(language, exact=True).check()
        return self.answer.get_by_role("region", name=f"The call in {language}").inner_text()

    def barriers(self) -> list[str]:
        """Violations of WCAG that axe finds, and where."""
        found = Axe().run(self.page).response["violations"]
        return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]

    def is_too_wide(self) -> bool:
        wide: bool = self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        return wide
