"""A browser of the machine's own, Chromium, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Nothing is looked up or fetched in the background; no sandbox, because in a container its user is root.
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
    # A microphone that hums, and nobody has to allow it.
    *("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"),
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Skips where the machine has none, unless REQUIRE_BROWSER says that it must."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        message = "no Chromium: apt-get install chromium"
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=Path(program), args=list(FLAGS))
        yield browser
        browser.close()


class Complaints:
    """Errors and warnings of a page's console, with those of its policy, and uncaught errors."""

    def __init__(self, page: Page) -> None:
        self.found: list[str] = []
        page.on("console", self.note)
        page.on("pageerror", self.note_error)

    def note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.found.append(f"{message.type}: {message.text}")

    def note_error(self, error: Error) -> None:
        self.found.append(f"uncaught: {error}")
