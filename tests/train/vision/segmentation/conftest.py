"""A few images with COCO's annotations, and with label maps."""

from pathlib import Path

import pytest
from PIL import Image

from tests.tiny_coco import tiny_coco
from train.vision.segmentation.label_maps import from_coco


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return tiny_coco(tmp_path_factory.mktemp("coco"), images=8)


@pytest.fixture(scope="module")
def maps(source: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same images with PNG label maps."""
    folder = tmp_path_factory.mktemp("maps")
    for image in from_coco(source["annotations"], source["images"], False, None).images:
        Image.fromarray(image.label_map()).save(folder / f"{image.path.stem}.png")
    return {"images": source["images"], "maps": folder}
