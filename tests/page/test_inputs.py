"""Inputs as the page takes them: chosen, dropped, pasted, typed."""

import base64
import json

import pytest
from playwright.sync_api import expect

from tests.inputs import IMAGES, encoded
from tests.page.site import Site

PNG = encoded(IMAGES[2])

# A drop or the clipboard, as the browser hands one over.
HAND_OVER = """([kind, selector, data, name, type]) => {
  const transfer = new DataTransfer();
  const content = Uint8Array.from(atob(data), (each) => each.charCodeAt(0));
  transfer.items.add(new File([content], name, {type}));
  const more = {bubbles: true, cancelable: true, clipboardData: transfer, dataTransfer: transfer};
  const event = kind === "drop" ? new DragEvent("drop", more) : new ClipboardEvent("paste", more);
  document.querySelector(selector).dispatchEvent(event);
}"""


@pytest.mark.parametrize(("kind", "selector"), [("drop", ".file-editor"), ("paste", "body")])
def test_an_image_that_is_dropped_or_pasted(site: Site, kind: str, selector: str) -> None:
    site.open("tiny-image")
    site.page.evaluate(HAND_OVER, [kind, selector, base64.b64encode(PNG).decode(), "own.png", "image/png"])
    editor = site.page.locator(".file-editor")
    editor.get_by_text("own.png, image/png").wait_for()
    width, height = IMAGES[2].size
    canvas = editor.locator("canvas")
    site.until(lambda: canvas.evaluate("canvas => [canvas.width, canvas.height]") == [width, height])
    site.ask()
    assert site.sent[-1] == ({"body": PNG}, "image/png")


def test_an_input_can_be_removed(site: Site) -> None:
    site.open("tiny-image")
    ask = site.page.get_by_role("button", name="Ask")
    assert ask.is_disabled()
    site.use_sample()
    site.page.get_by_role("button", name="Remove").click()
    assert ask.is_disabled()
    assert site.page.locator(".file-editor canvas").count() == 0


@pytest.mark.parametrize(("content", "media_type", "problem"), [
    (b"", "image/png", "The file is empty."),
    (b"text", "text/plain", "text/plain; the model takes image/jpeg"),
    (bytes(17 << 20), "image/png", "17.0 MiB; the model takes at most 16.0 MiB."),
])  # fmt: skip
def test_a_file_that_the_server_would_refuse(site: Site, content: bytes, media_type: str, problem: str) -> None:
    site.open("tiny-image")
    site.page.get_by_label("Choose an image").set_input_files(
        {"name": "file", "mimeType": media_type, "buffer": content}
    )
    site.page.get_by_role("alert").filter(has_text=problem).wait_for()


def test_an_image_in_json_is_drawn_over_too(site: Site) -> None:
    site.open("tiny-detection")
    site.page.get_by_label("JSON", exact=True).first.check()
    site.page.locator("textarea.code").fill(json.dumps({"image": base64.b64encode(PNG).decode()}))
    site.ask()
    site.answer.locator(".boxes").wait_for()
    assert site.answer.locator(".boxes").get_attribute("viewBox") == f"0 0 {IMAGES[2].width} {IMAGES[2].height}"


def test_pixels_in_json_are_drawn(site: Site) -> None:
    site.open("tiny-detection")
    site.page.get_by_label("JSON", exact=True).first.check()
    site.page.locator("textarea.code").fill(json.dumps({"image": [[[255, 0, 0]] * 40] * 30}))
    site.ask()
    site.answer.locator(".boxes").wait_for()
    assert site.answer.locator(".boxes").get_attribute("viewBox") == "0 0 40 30"


def test_a_text_with_parameters_beside_it_stays_json(site: Site) -> None:
    """They would be lost in the text's own field."""
    site.open("tiny-entities")
    body = {"text": "The train to Zürich.", "stream": False}
    site.page.get_by_label("JSON", exact=True).first.check()
    site.page.locator("textarea.code").fill(json.dumps(body))
    site.ask()
    assert site.page.locator("textarea.code").count() == 1
    assert json.loads(site.sent[-1][0]["body"]) == body
    assert site.answer.locator(".marked-text").text_content() == body["text"]


def test_a_sample_that_is_text_alone_can_be_typed_on(site: Site) -> None:
    site.open("tiny-entities")
    site.use_sample()
    area = site.page.get_by_role("textbox", name="The text")
    expect(area).not_to_have_value("")
    area.fill(area.input_value() + " And Zürich.")
    site.ask()
    body, media_type = site.sent[-1]
    assert media_type.startswith("text/plain")
    assert body["body"].decode().endswith("Warsaw. And Zürich.")


@pytest.mark.parametrize("name", [
    *("tiny-image", "tiny-detection", "tiny-semantic", "tiny-keypoints", "tiny-depth", "tiny-zero-shot", "tiny-audio"),
    *("tiny-voice", "tiny-entities", "tiny-answers", "tiny-embedding", "tiny-policy", "tiny-torque"),
])  # fmt: skip
def test_nothing_is_wider_than_a_phone(site: Site, name: str) -> None:
    site.page.set_viewport_size({"width": 360, "height": 740})
    site.answered(name)
    assert site.page.evaluate("document.documentElement.scrollWidth") <= 360
