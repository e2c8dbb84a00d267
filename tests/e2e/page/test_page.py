"""The page in a real browser, before a real server: every task, its keys, and who can use it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from client import RestClient
from deploy.archive import Archive
from tests.closeness import assert_close
from tests.page.visit import PHONE, SECONDS, Visit
from tests.tiny_artifacts import TINY

# Of each task: words of its answer that a person must see.
SEEN: dict[str, Callable[[Any], list[str]]] = {
    "predictions": lambda found: [found[0]["label"]],
    "detections": lambda found: [each["label"] for each in found[:1]],
    "segments": lambda found: [each["label"] for each in found[:1] if "label" in each],
    "entities": lambda found: [each["label"] for each in found[:1]],
    "answers": lambda found: [each["text"] for each in found[:1]],
    "text": lambda found: [found.strip()],
    "embedding": lambda found: [str(len(found))],
    "finish_reason": lambda _: ["finished"],
}


@pytest.mark.parametrize("name", TINY)
def test_each_model_answers_its_sample_as_over_rest(
    visitor: Visit, rest: RestClient, tiny_archive: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    archive = Archive.read(tiny_archive(name))
    visitor.choose(name)
    visitor.take_sample()
    found = visitor.ask()
    parameters = {"map": True} if archive.task == "depth-estimation" else {}
    sample = archive.sample(tmp_path)
    payload = json.loads(sample.read_text()) if sample.suffix == ".json" else sample
    wanted = rest.predict(name, payload, parameters=parameters).json()
    assert_close(found, wanted)
    drawn = visitor.answer.locator(".answer").inner_text()
    for part, words in SEEN.items():
        if part in found:
            assert all(word in drawn for word in words(found[part])), (part, drawn)
    assert not visitor.answer.locator(".answer > .json-branch").count(), "it is not drawn"
    assert visitor.complaints.found == []


def test_an_answer_says_which_version_gave_it_and_how_long_it_took(visitor: Visit) -> None:
    visitor.choose("tiny-image")
    visitor.take_sample()
    visitor.ask()
    facts = visitor.answer.locator(".timing")
    expect(facts).to_contain_text("version1.0")
    for stage in ("answered after", "decode", "inference", "encode", "request"):
        expect(facts).to_contain_text(stage)


def test_text_shows_while_it_is_written(visitor: Visit) -> None:
    visitor.choose("tiny-writer")
    visitor.take_sample()
    with visitor.page.expect_response("**/predictions/tiny-writer") as response:
        visitor.ask()
    assert response.value.headers["content-type"].startswith("application/x-ndjson")
    expect(visitor.answer.locator(".timing")).to_contain_text("first piece")


def test_explanations_are_drawn(visitor: Visit) -> None:
    region = visitor.page.get_by_role("region", name="Explanation", exact=True)
    for name, method in (("tiny-topics", "occlusion"), ("tiny-image", "saliency")):
        visitor.choose(name)
        visitor.take_sample()
        region.get_by_label("Method").select_option(method)
        region.get_by_role("button", name="Explain").click()
        expect(region.get_by_role("status").first).to_contain_text("Explained", timeout=SECONDS)
        found = visitor.json("JSON of the explanation", region)
        expect(region.locator(".explanation")).to_contain_text(found["target"]["label"])
    region.get_by_label("as an image that the server draws").check()
    with visitor.page.expect_response("**/explanations/tiny-image") as response:
        region.get_by_role("button", name="Explain").click()
    assert response.value.headers["content-type"] == "image/png"
    expect(region.get_by_role("status").first).to_contain_text("Explained", timeout=SECONDS)
    assert visitor.complaints.found == []


def test_a_key_is_asked_for_and_kept_nowhere(browser: Browser, address: str, key: str) -> None:
    visit = Visit(browser, address, key="wrong-key")
    try:
        visit.choose("tiny-policy")
        visit.take_sample()
        visit.page.get_by_role("button", name="Ask").click()
        expect(visit.problem).to_contain_text("The server wants another key.")
        expect(visit.key).to_be_focused()
        visit.complaints.found.clear()  # the browser's own line about the answer's status
        visit.key.fill(key)
        assert visit.ask()["action"] in (0, 1)
        kept = visit.page.evaluate(
            "async () => [localStorage.length, sessionStorage.length, document.cookie, "
            "(await indexedDB.databases()).length, (await caches.keys()).length]"
        )
        assert kept == [0, 0, "", 0, 0]
        assert key not in visit.page.url + visit.page.content()
        visit.page.reload()
        expect(visit.key).to_have_value("")
        assert visit.complaints.found == []
    finally:
        visit.close()


def test_a_parameter_that_is_refused_is_explained(visitor: Visit) -> None:
    visitor.choose("tiny-image")
    visitor.take_sample()
    visitor.page.locator("summary", has_text="Parameters").click()
    visitor.page.get_by_label("top_k").fill("-1")
    visitor.page.get_by_role("button", name="Ask").click()
    expect(visitor.problem).to_contain_text("top_k")
    expect(visitor.problem).to_contain_text("422")
    visitor.complaints.found.clear()


def test_the_keyboard_is_enough(browser: Browser, address: str, key: str) -> None:
    visit = Visit(browser, address)
    try:
        expect(visit.page.get_by_role("link", name="tiny-policy ")).to_be_visible()
        walk_to(visit, "#key")
        visit.page.keyboard.type(key)
        walk_to(visit, "a[href='#/tiny-policy']")
        visit.page.keyboard.press("Enter")
        expect(visit.page.get_by_role("heading", level=1)).to_be_focused()
        walk_to(visit, "button:text('Use the sample')")
        visit.page.keyboard.press("Enter")
        expect(visit.page.get_by_role("button", name="Ask")).to_be_enabled()
        walk_to(visit, "button:text('Ask')")
        visit.page.keyboard.press("Enter")
        expect(visit.answer.get_by_role("status").first).to_contain_text("Answered", timeout=SECONDS)
        assert visit.complaints.found == []
    finally:
        visit.close()


def walk_to(visit: Visit, selector: str) -> None:
    wanted = visit.page.locator(selector).first
    for _ in range(100):
        visit.page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"Tab does not lead to {selector}")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["tiny-detection", "tiny-audio", "tiny-entities", "tiny-policy"])
def test_everybody_can_use_it(visitor: Visit, name: str, theme: str) -> None:
    visitor.page.get_by_label("Colours").select_option(theme)
    visitor.choose(name)
    visitor.take_sample()
    visitor.ask()
    assert visitor.barriers() == []


def test_a_phone_is_wide_enough(browser: Browser, address: str, key: str) -> None:
    """The list of all models with it; forms and answers of every task: tests/page/test_every_task.py."""
    visit = Visit(browser, address, PHONE, key)
    try:
        assert not visit.is_too_wide()
        visit.choose("tiny-zero-shot")
        visit.take_sample()
        visit.ask()
        assert not visit.is_too_wide()
        assert visit.complaints.found == []
    finally:
        visit.close()


def test_words_of_others_stay_words(browser: Browser, address: str) -> None:
    """Labels, messages and names with markup, and an answer that is larger than a page can show."""
    markup = "<img src=x onerror=alert(1)>"
    visit = Visit(browser, address, key="k")
    answers = [
        {"status": 422, "json": {"code": 422, "type": markup, "message": markup}},
        {"status": 200, "json": {"predictions": [{"label": markup, "probability": 0.5, "index": 0}]}},
        {"status": 200, "json": {"predictions": [
            {"label": f"{markup}{number}", "probability": 0.5, "index": number} for number in range(100_000)
        ]}},
    ]  # fmt: skip
    try:
        visit.page.route("**/predictions/*", lambda route: route.fulfill(**answers.pop(0)))
        visit.choose("tiny-image")
        visit.take_sample()
        visit.page.get_by_role("button", name="Ask").click()
        expect(visit.problem).to_contain_text(markup)
        visit.complaints.found.clear()
        visit.ask()
        expect(visit.answer).to_contain_text(markup)
        visit.page.get_by_role("button", name="Ask").click()
        expect(visit.answer).to_contain_text(f"{markup}3", timeout=SECONDS)
        assert visit.page.evaluate("document.querySelectorAll('*').length") < 5000
        assert visit.page.evaluate("document.body.innerText.length") < 200_000
        assert not visit.page.locator("img[src=x]").count()
        assert visit.complaints.found == []
    finally:
        visit.close()
