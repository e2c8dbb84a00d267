"""Answers about images as they are drawn, compared with the answers themselves."""

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Locator
from pycocotools import mask as coco_mask

from handlers.vision.output.drawing import colour
from tests.page.site import Site


def pixels(canvas: Locator) -> NDArray[np.uint8]:
    """RGBA (height, width, 4) of a canvas."""
    address = str(canvas.evaluate("canvas => canvas.toDataURL('image/png')"))
    image = Image.open(io.BytesIO(base64.b64decode(address.split(",")[1])))
    return np.asarray(image.convert("RGBA"))


def boxes(site: Site) -> list[list[float]]:
    """x1 y1 x2 y2 of each box that is drawn, in the order of their scores."""
    found = site.answer.locator(".boxes rect").evaluate_all(
        "all => all.map(rect => ['x', 'y', 'width', 'height'].map(name => +rect.getAttribute(name)))"
    )
    return [[x, y, x + width, y + height] for x, y, width, height in found]


def test_boxes_stand_where_the_answer_says(site: Site) -> None:
    detections = site.answered("tiny-detection")["detections"]
    site.answer.locator(".boxes").wait_for()
    assert boxes(site) == pytest.approx(np.array([each["box"] for each in detections]), abs=1e-3)
    view = site.answer.locator(".boxes").get_attribute("viewBox")
    assert view == "0 0 320 214"  # of the image as it was sent
    shown = site.answer.get_by_role("option").all_inner_texts()
    wanted = [[each["label"], f"{100 * each['score']:.1f}%"] for each in detections]
    assert [text.split() for text in shown] == wanted
    drawn = pixels(site.answer.locator("canvas.image"))[..., :3].astype(float)
    sent = np.asarray(Image.open(io.BytesIO(site.sent[-1][0]["body"])).convert("RGB"), float)
    assert np.abs(drawn - sent).mean() < 2


def test_list_and_image_point_at_each_other(site: Site) -> None:
    detections = site.answered("tiny-detection")["detections"]
    site.answer.locator(".boxes").wait_for()
    listing = site.answer.get_by_role("listbox")
    listing.focus()
    site.page.keyboard.press("ArrowDown")
    site.page.keyboard.press("ArrowDown")
    assert site.answer.get_by_role("option", selected=True).count() == 1
    active = site.answer.locator(".object.active")
    assert active.locator("text").text_content() == f"{detections[1]['label']} {100 * detections[1]['score']:.1f}%"
    assert float(active.locator("rect").get_attribute("x") or 0) == pytest.approx(detections[1]["box"][0], abs=1e-3)
    site.page.keyboard.press("Escape")
    assert active.count() == 0
    x1, y1, x2, y2 = detections[0]["box"]
    area = site.answer.locator(".image-layers").bounding_box()
    assert area
    scale = area["width"] / 320
    site.page.mouse.move(area["x"] + scale * (x1 + x2) / 2, area["y"] + scale * (y1 + y2) / 2)
    assert site.answer.get_by_role("option", selected=True).count() == 1


@pytest.mark.parametrize(("name", "layer"), [("tiny-semantic", "classes"), ("tiny-instance", "masks")])
def test_masks_cover_the_pixels_of_the_answer(site: Site, name: str, layer: str) -> None:
    segments = site.answered(name)["segments"]
    site.answer.locator(f"canvas.{layer}").wait_for()
    drawn = pixels(site.answer.locator(f"canvas.{layer}"))
    wanted = np.zeros_like(drawn)
    for each in sorted(segments, key=lambda each: each.get("score", 0)):
        wanted[coco_mask.decode(each["rle"]).astype(bool)] = (*colour(each["index"]), 255)
    assert np.abs(drawn.astype(int) - wanted).max() <= 1  # rounded half up, not to even
    assert len({tuple(pixel) for pixel in wanted.reshape(-1, 4)}) >= 2


def test_the_legend_has_the_share_of_each_class(site: Site) -> None:
    answer = site.answered("tiny-semantic")
    height, width = answer["size"]
    for each in answer["segments"]:
        entry = site.answer.get_by_role("option").filter(has_text=each["label"])
        assert f"{100 * each['area'] / (width * height):.1f}%" in entry.inner_text()


def test_a_mask_larger_than_the_canvas_is_sampled(site: Site) -> None:
    """Of 4000 × 3000 pixels, drawn on 1600 × 1200: each pixel shows the one under its centre."""
    mask = np.zeros((3000, 4000), np.uint8)
    mask[500:2000, 1000:3001] = 1
    mask[::7, 3500:] = 1
    encoded = coco_mask.encode(np.asfortranarray(mask))
    rle = {"size": [3000, 4000], "counts": encoded["counts"].decode()}
    segment = {"label": "circle", "index": 1, "rle": rle, "area": int(mask.sum())}
    site.prepared = {"size": [3000, 4000], "segments": [segment]}
    site.answered("tiny-semantic")
    drawn = pixels(site.answer.locator("canvas.classes"))[..., 3] > 0
    rows, columns = ((np.arange(size) + 0.5) * 2.5 for size in (1200, 1600))
    assert np.array_equal(drawn, mask[rows.astype(int)][:, columns.astype(int)] == 1)


def test_keypoints_and_their_lines(site: Site) -> None:
    detections = site.answered("tiny-keypoints")["detections"]
    site.answer.locator(".boxes").wait_for()
    circles = site.answer.locator(".pose circle").evaluate_all(
        "all => all.map(one => [+one.getAttribute('cx'), +one.getAttribute('cy')])"
    )
    points = [[point["x"], point["y"]] for each in detections for point in each["keypoints"]]
    assert circles == pytest.approx(np.array(points), abs=1e-3)
    assert site.answer.locator(".pose line").count() == 3 * len(detections)


def test_depths_have_the_colours_of_their_scale(site: Site) -> None:
    answer = site.answered("tiny-depth")
    canvas = site.answer.locator("canvas.depth")
    site.until(lambda: bool((pixels(canvas)[..., 3] == 255).all()))
    drawn = pixels(canvas)[..., :3].astype(int)
    depths = depths_of(answer)
    nearest, farthest = np.unravel_index(depths.argmin(), depths.shape), np.unravel_index(depths.argmax(), depths.shape)
    assert answer["nearer"] == "lower"
    assert np.abs(drawn[nearest] - (253, 231, 37)).max() <= 3
    assert np.abs(drawn[farthest] - (68, 1, 84)).max() <= 3


def depths_of(answer: dict[str, Any]) -> NDArray[np.float64]:
    values = np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["png"]))), np.float64)
    return values * answer["scale"] + answer["offset"]


def test_ten_thousand_boxes_do_not_stop_the_page(site: Site) -> None:
    places = np.random.default_rng(0).uniform(0, 200, (10_000, 2))
    site.prepared = {
        "detections": [
            {"box": [x, y, x + 10, y + 10], "label": "square", "index": 2, "score": index / 10_000}
            for index, (x, y) in enumerate(places.tolist())
        ]
    }
    site.answered("tiny-detection")
    site.answer.locator(".boxes").wait_for()
    assert len(boxes(site)) == 300
    assert "The 300 with the highest scores of 10,000 are drawn." in site.answer.inner_text()
    assert "100.0%" in site.answer.get_by_role("option").first.inner_text()


def test_an_image_that_the_browser_cannot_read_leaves_its_place(site: Site) -> None:
    site.prepared = {"detections": [{"box": [10, 20, 100, 50], "label": "square", "index": 2, "score": 0.5}]}
    site.open("tiny-detection")
    site.page.get_by_label("Choose an image").set_input_files(
        {"name": "scan.tiff", "mimeType": "image/tiff", "buffer": b"II*\0 and no more"}
    )
    site.ask()
    site.answer.locator(".boxes").wait_for()
    assert boxes(site) == [[10, 20, 100, 50]]
    assert "cannot show" in site.answer.inner_text()


def test_classes_are_bars_of_their_probabilities(site: Site) -> None:
    answer = site.answered("tiny-labels")
    rows = site.answer.locator(".bars li")
    for row, each in zip(rows.all(), answer["predictions"], strict=True):
        text = row.inner_text()
        assert each["label"] in text
        assert ("applies" in text) == (each["label"] in answer["labels"])
        width = row.locator(".bar-fill").evaluate("bar => parseFloat(bar.style.width)")
        assert width == pytest.approx(100 * each["probability"], abs=0.01)


def test_an_embedding_is_compared_with_the_one_before(site: Site) -> None:
    first = np.array(site.answered("tiny-vector")["embedding"])
    assert "before" not in site.answer.inner_text()
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(buffer, "PNG")
    site.page.get_by_label("Another image").set_input_files(
        {"name": "noise.png", "mimeType": "image/png", "buffer": buffer.getvalue()}
    )
    second = np.array(site.ask()["embedding"])
    cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    site.answer.get_by_text("Cosine similarity").wait_for()
    assert f"{cosine:.4f}" in site.answer.inner_text()
    assert f"{np.linalg.norm(second):.5g}" in site.answer.inner_text()


def test_labels_of_ones_own(site: Site) -> None:
    site.open("tiny-zero-shot")
    site.use_sample()
    site.page.get_by_label("Labels, one per line").fill("a temple, old\n🏯\na flower")
    answer = site.ask()
    sent = json.loads(site.sent[-1][0]["body"])
    assert sent["labels"] == ["a temple, old", "🏯", "a flower"]
    assert [each["label"] for each in answer["predictions"]] == [
        row.split("\n")[0] for row in site.answer.locator(".bars li").all_inner_texts()
    ]
