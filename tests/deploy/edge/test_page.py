"""The page through the edge: its files for everyone, whatever is about models for callers with a key."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from deploy.surface.page_files import FOLDER, HEADERS
from tests.deploy.edge.caller import MODELS, Caller, assert_form
from tests.page.browser import chromium
from tests.page.visit import Visit

pytestmark = pytest.mark.e2e


@pytest.fixture
def visit(caller: Caller) -> Iterator[Visit]:
    with chromium() as browser:
        made = Visit(browser, caller.server.inference)
        yield made
        made.close()


def test_its_files_need_no_key_and_name_no_model(caller: Caller) -> None:
    for path in (each.relative_to(FOLDER).as_posix() for each in FOLDER.rglob("*") if each.is_file()):
        answer = caller.rest("GET", "/page/" + path.replace("index.html", ""), key="")
        assert answer.content == (FOLDER / path).read_bytes()
        assert answer.headers.items() >= {name.lower(): value for name, value in HEADERS.items()}.items()
        assert not any(model in answer.text for model in MODELS)
    assert caller.rest("GET", "/page/assets/nothing.js", key="").status_code == 404
    assert_form(caller.rest("GET", "/page/%00", key=""), 400, "BadRequest")
    assert_form(caller.rest("POST", "/page/"), 405, "MethodNotAllowed")


@pytest.mark.parametrize("path", ["/cards", "/cards/tiny-policy", "/cards/tiny-policy/sample", "/cards/nothing"])
def test_cards_need_one(caller: Caller, path: str) -> None:
    assert_form(caller.rest("GET", path, key=""), 401, "Unauthorized")
    answer = caller.rest("GET", path)
    if path.endswith("nothing"):
        assert_form(answer, 404, "ModelNotFoundException")
    else:
        assert answer.status_code == 200
    assert_form(caller.rest("POST", path), 405, "MethodNotAllowed")


def test_a_sample_is_no_page_of_the_servers(caller: Caller) -> None:
    answer = caller.rest("GET", "/cards/tiny-writer/versions/1.0/sample")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


def test_in_a_browser(visit: Visit, caller: Caller) -> None:
    expect(visit.problem).to_contain_text("The server wants another key.")
    assert visit.page.get_by_role("link", name="tiny-policy ").count() == 0
    visit.complaints.found.clear()  # the browser's own line about the answer's status
    visit.key.fill(caller.keys["inference"].removeprefix("Bearer "))
    visit.choose("tiny-policy")
    visit.take_sample()
    assert visit.ask()["action"] in (0, 1)
    assert f"curl '{caller.server.inference}/predictions/tiny-policy'" in visit.copied("curl")
    assert caller.server.grpc in visit.copied("grpcurl")
    visit.choose("tiny-writer")
    visit.take_sample()
    assert visit.ask()["finish_reason"]
    assert visit.complaints.found == []
