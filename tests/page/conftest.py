"""A browser for the tests of a file, and the page in it."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import pytest
from playwright.sync_api import Browser

from tests.handlers.conftest import load  # noqa: F401
from tests.handlers.explanation.conftest import explainer  # noqa: F401
from tests.handlers.worker import Worker
from tests.page.browser import chromium
from tests.page.site import PATIENCE, Site


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def thread() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as started:
        yield started


@pytest.fixture
def site(
    browser: Browser,
    thread: Executor,
    load: Callable[[str], Worker],  # noqa: F811
    explainer: Callable[[str], Worker],  # noqa: F811
) -> Iterator[Site]:
    context = browser.new_context(viewport={"width": 1000, "height": 800}, permissions=["microphone"])
    context.set_default_timeout(PATIENCE)
    opened = Site(context.new_page(), load, explainer, thread)
    yield opened
    assert not opened.complaints.found
    context.close()
