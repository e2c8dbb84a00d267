"""Augmentation: boxes and masks move with their object, noise is real and as strong as asked, batches stay whole."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torch import Tensor
from torchvision import tv_tensors
from torchvision.ops import box_iou
from torchvision.transforms import v2
from typer.testing import CliRunner

from tests.train.images import write_folders
from tests.train.vision.scene import SIZE, drawn_boxes, of_each, scene
from train.__main__ import app
from train.plots.augmentations import TILE, write_grid
from train.vision.augmentation import Augmentation, elastic_alpha
from train.vision.detection.augmentation import DetectionAugmentation

STILL: dict[str, Any] = {
    "crop_scale": None,
    "flip": 0,
    "brightness": 0,
    "contrast": 0,
    "saturation": 0,
    "hue": 0,
    "geometry": 1.0,
}
GEOMETRY: dict[str, dict[str, Any]] = {
    "flip": {"flip": 1.0},
    "vertical flip": {"vertical_flip": 1.0},
    "rotate": {"rotate": 45},
    "translate": {"translate": 0.3},
    "scale": {"scale": (0.5, 1.5)},
    "shear": {"shear": 20},
    "perspective": {"perspective": 0.5},
    "elastic": {"elastic": 2.0},
    "all": {"flip": 0.5, "rotate": 20, "translate": 0.1, "scale": (0.8, 1.2), "perspective": 0.2, "elastic": 1.0},
}


def with_objects(**steps: Any) -> Callable[[tv_tensors.Image, dict[str, Tensor]], Any]:
    """The detector's augmentation, of these steps alone."""
    return DetectionAugmentation(
        flip=0, zoom_out=0, crop=0, colour=0, extra=Augmentation(**{**STILL, **steps})
    ).transform()


@pytest.mark.parametrize("name", GEOMETRY)
def test_with_masks_boxes_fit_the_object_in_the_image(name: str) -> None:
    torch.manual_seed(0)
    pipeline = with_objects(**GEOMETRY[name])
    moved = 0
    for _ in range(12):
        image, target = scene(with_masks=True)
        out, found = pipeline(image, target)
        visible = (out.as_subclass(Tensor)[found["labels"] - 1] > 127).flatten(1).any(1)
        boxes = found["boxes"].as_subclass(Tensor)
        assert len(boxes) == len(found["labels"]) == len(found["masks"])
        assert (boxes >= 0).all()
        assert (boxes[:, [0, 2]] <= SIZE[1]).all()
        assert (boxes[:, [1, 3]] <= SIZE[0]).all()
        if len(boxes) and visible.all():
            difference = (drawn_boxes(out, found["labels"]) - boxes).abs().max()
            assert difference <= 1.5  # pixels: masks move by the nearest one, the image is interpolated
            moved += not torch.equal(out.as_subclass(Tensor), image.as_subclass(Tensor))
    assert moved >= 3


@pytest.mark.parametrize("name", ["flip", "vertical flip", "translate", "scale", "rotate", "shear", "perspective"])
def test_without_masks_boxes_hold_the_object(name: str) -> None:
    """Exactly where sides stay parallel to the image's; around the moved corners where they do not."""
    torch.manual_seed(1)
    pipeline = with_objects(**GEOMETRY[name])
    for _ in range(12):
        out, found = pipeline(*scene(with_masks=False))
        boxes, labels = found["boxes"].as_subclass(Tensor), found["labels"]
        visible = (out.as_subclass(Tensor)[labels - 1] > 127).flatten(1).any(1)
        assert visible.all()
        true = drawn_boxes(out, labels)
        assert (boxes[:, :2] <= true[:, :2] + 1.5).all()
        assert (boxes[:, 2:] >= true[:, 2:] - 1.5).all()
        if name in ("flip", "vertical flip", "translate", "scale"):
            assert (box_iou(boxes, true.float()).diagonal() > 0.9).all()


def test_elastic_takes_boxes_at_the_border() -> None:
    torch.manual_seed(0)
    boxes = tv_tensors.BoundingBoxes([[100.0, 80, 160, 120]], format="XYXY", canvas_size=SIZE)
    pipeline = with_objects(elastic=1.0)
    found = [pipeline(scene(False)[0], {"boxes": boxes, **of_each(torch.tensor([1]))})[1]["boxes"] for _ in range(8)]
    assert all((box - boxes).abs().max() < 8 for box in found)


def test_what_left_the_image_leaves_the_target() -> None:
    torch.manual_seed(0)
    pipeline = with_objects(translate=1.0)
    counts = []
    for _ in range(30):
        out, found = pipeline(*scene(with_masks=True))
        bright = (out.as_subclass(Tensor)[:2] > 127).flatten(1).sum(1)
        kept = set((found["labels"] - 1).tolist())
        assert kept >= {index for index in (0, 1) if bright[index] > 60}
        assert kept <= {index for index in (0, 1) if bright[index] > 0}
        counts.append(len(kept))
    assert {0, 1, 2} <= set(counts)


def test_a_classification_pipeline_gives_uint8_of_the_size_and_changes_colours() -> None:
    torch.manual_seed(0)
    everything = Augmentation(
        rotate=10, perspective=0.2, elastic=1.0, grayscale=0.2, blur=0.5, noise=0.05, noise_exponent=1.0, erase=0.3
    )
    image = torch.randint(0, 256, (3, 90, 70), dtype=torch.uint8)
    before = image.clone()
    outputs = [everything.pipeline((48, 64))(image) for _ in range(8)]
    assert all((out.dtype, tuple(out.shape)) == (torch.uint8, (3, 48, 64)) for out in outputs)
    assert len({tuple(out.flatten()[:50].tolist()) for out in outputs}) == 8
    assert torch.equal(image, before)


def test_without_augmentation_the_image_is_only_resized() -> None:
    image = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8)
    assert torch.equal(Augmentation(**STILL).pipeline((32, 32))(image), image)


def test_elastic_displacements_are_as_long_as_asked() -> None:
    torch.manual_seed(0)
    transform = v2.ElasticTransform(elastic_alpha(4.0, 5.0), 5.0)
    grids = [transform.make_params([torch.zeros(3, 200, 200)])["displacement"] for _ in range(8)]
    pixels = torch.cat(grids) * 100  # a side is two units of the grid
    assert pixels.square().mean().sqrt().item() == pytest.approx(4.0, rel=0.1)


def test_wrong_settings_are_all_named() -> None:
    with pytest.raises(ValidationError) as raised:
        Augmentation.model_validate({"flip": 2, "rotate": -1, "jitter": 1})
    assert {error["loc"][0] for error in raised.value.errors()} == {"flip", "rotate", "jitter"}


@pytest.mark.parametrize(
    ("strength", "probability"),
    [
        ({"brightness": 0.9}, "colour"),
        ({"perspective": 0.9}, "perspective_probability"),
        ({"elastic": 9.0}, "elastic_probability"),
        ({"noise": 0.5}, "noise_probability"),
        ({"rotate": 90}, "geometry"),
    ],
)
def test_every_change_has_a_probability(strength: dict[str, float], probability: str) -> None:
    torch.manual_seed(0)
    image = tv_tensors.Image(torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8))
    for share in (0.0, 0.3, 1.0):
        pipeline = Augmentation.model_validate({**STILL, **strength, probability: share}).pipeline((32, 32))
        changed = sum(not torch.equal(pipeline(image), image) for _ in range(60)) / 60
        assert changed == pytest.approx(share, abs=0.2)


def test_a_kernel_has_a_middle() -> None:
    with pytest.raises(ValidationError, match="wanted an odd number of pixels; got 4"):
        Augmentation(blur_kernel=4)


def test_the_grid_shows_boxes_and_masks(tmp_path: Path) -> None:
    torch.manual_seed(0)
    pipeline = DetectionAugmentation(extra=Augmentation(rotate=20)).transform()
    write_grid(tmp_path / "grid.png", [scene(True), scene(False)], lambda sample: pipeline(*sample), times=3)
    grid = np.asarray(Image.open(tmp_path / "grid.png"))
    assert grid.shape == (2 * (TILE + 4) + 4, 4 * (TILE + 4) + 4, 3)
    first = grid[4 : 4 + TILE, 4 : 4 + TILE]
    assert (first == (255, 165, 0)).all(-1).sum() > 100  # the second box's orange outline


def test_the_command_draws_an_experiments_augmentation(tmp_path: Path) -> None:
    write_folders(tmp_path / "data", 3)
    (tmp_path / "data" / "red" / "00.jpg").write_bytes(b"broken")
    experiment = tmp_path / "mine.yaml"
    experiment.write_text(f"system: image-classification\ndata: {{folder: {tmp_path / 'data'}}}\nweights: null\n")
    call = [
        "augmentations",
        str(experiment),
        "augmentation.rotate=30",
        "mixing.cutmix=1",
        "--output",
        str(tmp_path / "a.png"),
        "--count",
    ]
    done = CliRunner().invoke(app, [*call, "4"])
    assert done.exit_code == 0, done.output
    assert Image.open(tmp_path / "a.png").size == (6 * (TILE + 4) + 4, 4 * (TILE + 4) + 4)
    done = CliRunner().invoke(app, ["augmentations", "cartpole"])
    assert done.exit_code == 2
