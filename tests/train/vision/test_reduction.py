"""Images of many pixels are reduced before they are augmented, and their boxes, masks and label maps with them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from handlers.vision.transform import ImageTransform
from train.vision.coco import read
from train.vision.detection.augmentation import DetectionAugmentation
from train.vision.detection.data import CocoImages
from train.vision.reduction import for_detector, for_sides, for_size
from train.vision.segmentation.augmentation import SegmentationAugmentation
from train.vision.segmentation.data import TrainingImages
from train.vision.segmentation.label_maps import LabelledImage

HEIGHT, WIDTH = 1200, 1600
BOXES = [(200, 100, 800, 700), (1000, 400, 1590, 1190)]


@pytest.fixture(scope="module", params=["image.jpg", "image.png", "turned.jpg"])
def source(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A black image with white rectangles, and a COCO file of them."""
    folder = tmp_path_factory.mktemp("data")
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    annotations = []
    for number, (x1, y1, x2, y2) in enumerate(BOXES):
        pixels[y1:y2, x1:x2] = 255
        box, corners = [x1, y1, x2 - x1, y2 - y1], [[x1, y1, x2, y1, x2, y2, x1, y2]]
        annotations.append(
            {"id": number + 1, "image_id": 1, "category_id": 1, "bbox": box, "segmentation": corners, "iscrowd": 0}
            | {"area": box[2] * box[3]}
        )
    exif = Image.Exif()
    if request.param == "turned.jpg":
        pixels = np.rot90(pixels).copy()  # stored on its side, to be turned clockwise
        exif[0x0112] = 6
    Image.fromarray(pixels).save(folder / request.param, exif=exif)
    images = [{"id": 1, "file_name": request.param, "height": HEIGHT, "width": WIDTH}]
    described = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}
    (folder / "coco.json").write_text(json.dumps(described))
    return folder


@pytest.mark.parametrize("size", [(300, 400), (301, 401), (77, 103)])
def test_boxes_and_masks_stay_on_their_objects(source: Path, size: tuple[int, int]) -> None:
    file = read(source / "coco.json", source, masks=True, decode=True)
    whole, before = CocoImages(file.images, True, False).read(0)
    image, target = CocoImages(file.images, True, False, reduced=lambda height, width: size).read(0)
    assert whole.shape[1:] == before["masks"].shape[1:] == before["boxes"].canvas_size == (HEIGHT, WIDTH)
    assert image.shape[1:] == target["masks"].shape[1:] == target["boxes"].canvas_size == size
    x, y = size[1] / WIDTH, size[0] / HEIGHT
    assert before["boxes"].tolist() == [list(map(float, box)) for box in BOXES]
    torch.testing.assert_close(
        target["boxes"].as_subclass(torch.Tensor), torch.tensor(BOXES) * torch.tensor([x, y, x, y])
    )
    torch.testing.assert_close(target["area"], before["area"] * x * y)
    for box, mask in zip(target["boxes"], target["masks"], strict=True):
        rows, columns = mask.nonzero(as_tuple=True)
        around = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        assert (around - box).abs().max() <= 1
    white = image[0] > 127
    covered = target["masks"].bool().any(0)
    assert (white & covered).sum() / (white | covered).sum() > 0.97


def test_training_gets_what_the_network_can_use(source: Path) -> None:
    file = read(source / "coco.json", source, masks=True, decode=True)
    augment = DetectionAugmentation(zoom_out=0, crop=0, colour=0).transform()
    resizing = GeneralizedRCNNTransform(96, 160, [0.0] * 3, [1.0] * 3)
    image, target = CocoImages(file.images, True, False, augment, for_detector(resizing))[0]
    assert image.shape[1:] == target["masks"].shape[1:] == (288, 384)
    assert len(target["boxes"]) == len(BOXES)


def test_label_maps_stay_on_their_objects(source: Path) -> None:
    file = read(source / "coco.json", source, masks=True, decode=True)
    labelled = LabelledImage(file.images[0].path, file.images[0])
    transform = ImageTransform((90, 120), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    augment = SegmentationAugmentation(flip=0, min_scale=1, stretch=1, colour=0).transform((90, 120))
    seen = []

    def watched(image: object, mask: object) -> object:
        seen.append((tuple(image.shape), tuple(mask.shape)))  # type: ignore[attr-defined]
        return augment(image, mask)

    image, labels = TrainingImages([labelled], transform, watched)[0]  # type: ignore[arg-type]
    assert seen == [((3, 270, 360), (270, 360))]
    assert set(labels.unique().tolist()) == {0, 1}
    assert ((image[0] > 0) == (labels == 1)).float().mean() > 0.97


@pytest.mark.parametrize(
    ("reduced", "size", "wanted"),
    [
        (for_sides(800, 1333), (480, 640), (480, 640)),
        (for_sides(800, 1333), (5164, 7746), (2400, 3600)),
        (for_sides(800, 1333), (1000, 40_000), (100, 3999)),
        (for_size(300, 300), (480, 640), (480, 640)),
        (for_size(300, 300), (5164, 7746), (900, 1350)),
        (for_size(300, 300), (1, 40_000_000), (1, 40_000_000)),
        (for_sides(800, 1333), (1, 40_000_000), (1, 3999)),
    ],
)
def test_sizes(reduced: object, size: tuple[int, int], wanted: tuple[int, int]) -> None:
    assert reduced(*size) == wanted  # type: ignore[operator]
