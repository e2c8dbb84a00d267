"""A browser before the page of the real server."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from client import RestClient
from deploy.ports import HOST, Ports
from tests.page.browser import chromium
from tests.page.visit import Visit


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


@pytest.fixture(scope="module")
def address(ports: Ports) -> str:
    return f"http://{HOST}:{ports.status}"


@pytest.fixture(scope="module")
def key(rest: RestClient) -> str:
    return (rest._credentials.bearer("inference") or "").removeprefix("Bearer ")


@pytest.fixture(scope="module")
def visitor(browser: Browser, address: str, key: str) -> Iterator[Visit]:
    visit = Visit(browser, address, key=key)
    yield visit
    visit.close()
