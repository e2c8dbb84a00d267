"""A model of each task with its answer, on a desktop and on a phone: there is room for it, and anybody can use it.

With PAGE_IMAGES=docs/page, the images of the documentation are taken again.
"""

import io
import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import FloatRect

from archiver.tasks import TASKS
from tests.page.site import Site

IMAGES = os.environ.get("PAGE_IMAGES")
QUALITY, SCALE, MARGIN = 60, 0.7, 16  # of WebP; of its size on the page; pixels around it
DESKTOP, PHONE = {"width": 1024, "height": 800}, {"width": 390, "height": 844}
MODELS = {
    "tiny-image": "image-classification",
    "tiny-detection": "object-detection",
    "tiny-instance": "instance-segmentation",
    "tiny-semantic": "semantic-segmentation",
    "tiny-vector": "image-embedding",
    "tiny-zero-shot": "zero-shot-image-classification",
    "tiny-depth": "depth-estimation",
    "tiny-keypoints": "keypoint-detection",
    "tiny-keywords": "audio-classification",
    "tiny-sound": "audio-embedding",
    "tiny-voice": "voice-activity",
    "tiny-whisper": "speech-recognition",
    "tiny-topics": "text-classification",
    "tiny-embedding": "text-embedding",
    "tiny-entities": "token-classification",
    "tiny-answers": "question-answering",
    "tiny-writer": "text-generation",
    "tiny-policy": "policy",
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("device", "size", "theme"), [("desktop", DESKTOP, "light"), ("phone", PHONE, "dark")])
def test_it_fits_and_has_no_barriers(site: Site, name: str, device: str, size: dict[str, int], theme: str) -> None:
    site.page.set_viewport_size({"width": size["width"], "height": size["height"]})
    site.open(name)
    site.page.get_by_label("Colours").select_option(theme)
    site.use_sample()
    pieces = site.page.get_by_label("show the text as it is written")
    if pieces.count():
        pieces.uncheck()  # which take a server
    site.ask()
    assert site.page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    violations = Axe().run(site.page).response["violations"]
    assert [(each["id"], node["html"][:200]) for each in violations for node in each["nodes"]] == []
    if IMAGES:
        save(site, Path(IMAGES) / f"{MODELS[name]}-{device}.webp")


def test_every_task_is_among_them() -> None:
    assert set(MODELS.values()) == TASKS.keys()


def save(site: Site, path: Path) -> None:
    """The model with its answer."""
    site.page.evaluate("document.activeElement?.blur(); scrollTo(0, 0)")
    box = site.page.get_by_role("article").bounding_box()
    assert box is not None
    width, height = box["width"] + 2 * MARGIN, box["height"] + 2 * MARGIN
    clip = FloatRect(x=box["x"] - MARGIN, y=box["y"] - MARGIN, width=width, height=height)
    taken = site.page.screenshot(animations="disabled", full_page=True, clip=clip)
    image = Image.open(io.BytesIO(taken)).convert("RGB")
    size = round(SCALE * image.width), round(SCALE * image.height)
    image.resize(size, Image.Resampling.LANCZOS).save(path, "WEBP", quality=QUALITY, method=6)
