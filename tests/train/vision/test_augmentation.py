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
from torch.nn import functional as F
from torchvision import tv_tensors
from torchvision.ops import box_iou, masks_to_boxes
from torchvision.transforms import v2
from typer.testing import CliRunner

from tests.train.images import write_folders
from train.__main__ import app
from train.plots.augmentations import TILE, write_grid
from train.vision.augmentation import Augmentation, elastic_alpha
from train.vision.classification.mixing import Mixing
from train.vision.detection.augmentation import DetectionAugmentation
from train.vision.fourier_noise import FourierNoise, energy, fourier_noise, hermitian_spectrum

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
SIZE = (120, 160)


def with_objects(**steps: Any) -> Callable[[tv_tensors.Image, dict[str, Tensor]], Any]:
    """The detector's augmentation, of these steps alone."""
    return DetectionAugmentation(
        flip=0, zoom_out=0, crop=0, colour=0, extra=Augmentation(**{**STILL, **steps})
    ).transform()


def scene(with_masks: bool) -> tuple[tv_tensors.Image, dict[str, Tensor]]:
    """Two bright rectangles on black, each in a channel of its own."""
    image = torch.zeros(3, *SIZE, dtype=torch.uint8)
    masks = torch.zeros(2, *SIZE, dtype=torch.uint8)
    for channel, (x1, y1, x2, y2) in enumerate([(20, 30, 70, 60), (90, 50, 130, 100)]):
        image[channel, y1:y2, x1:x2] = 255
        masks[channel, y1:y2, x1:x2] = 1
    boxes = tv_tensors.BoundingBoxes([[20, 30, 70, 60], [90, 50, 130, 100]], format="XYXY", canvas_size=SIZE)
    target: dict[str, Tensor] = {"boxes": boxes, **of_each(torch.tensor([1, 2]))}
    if with_masks:
        target["masks"] = tv_tensors.Mask(masks)
    return tv_tensors.Image(image), target


def of_each(labels: Tensor) -> dict[str, Tensor]:
    """The parts of a target that have one number per object."""
    return {"labels": labels, "iscrowd": torch.zeros_like(labels), "area": torch.ones_like(labels)}


def drawn_boxes(image: Tensor, labels: Tensor) -> Tensor:
    """The boxes around what is bright in the image itself: the reference."""
    bright = image.as_subclass(Tensor)[labels - 1] > 127
    return masks_to_boxes(bright) + torch.tensor([0, 0, 1, 1])


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


@pytest.mark.parametrize("size", [(32, 32), (33, 31), (16, 21), (21, 16)])
@pytest.mark.parametrize("exponent", [0.0, 1.0])
def test_the_spectrum_is_hermitian_and_its_energy_parsevals(size: tuple[int, int], exponent: float) -> None:
    torch.manual_seed(0)
    spectrum = hermitian_spectrum(3, *size, exponent)
    noise = torch.fft.irfft2(spectrum, s=size)
    # Nothing of it is lost on the way to a real image and back.
    torch.testing.assert_close(torch.fft.rfft2(noise), spectrum, rtol=1e-4, atol=1e-4 * spectrum.abs().max().item())
    torch.testing.assert_close(energy(spectrum, size[1]), noise.square().sum((1, 2)), rtol=1e-4, atol=0)
    # The reference: numpy's full transform.
    whole = np.fft.fft2(noise.numpy().astype(np.float64))
    np.testing.assert_allclose(
        energy(spectrum, size[1]).numpy(), (np.abs(whole) ** 2).sum((1, 2)) / np.prod(size), rtol=1e-4
    )


@pytest.mark.parametrize("exponent", [0.0, 1.0])
def test_noise_has_the_level_and_the_spectrum_asked_for(exponent: float) -> None:
    torch.manual_seed(0)
    noise = fourier_noise(128, 128, 0.1, exponent, channels=64)
    torch.testing.assert_close(noise.square().mean((1, 2)).sqrt(), torch.full((64,), 0.1), rtol=1e-4, atol=0)
    assert noise.mean((1, 2)).abs().max() < 1e-6
    power = torch.fft.rfft2(noise).abs().square().mean(0)
    low, high = power[4, 4].item(), power[32, 32].item()
    averaged = power[3:6, 3:6].mean() / power[30:35, 30:35].mean()
    expected = 8 ** (2 * exponent)
    assert averaged.item() == pytest.approx(expected, rel=0.35)
    assert low > 0
    assert high > 0


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_a_noisy_image_keeps_dtype_shape_and_range(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    whole = torch.full((3, 65, 64), 128, dtype=torch.uint8)
    image = whole if dtype == torch.uint8 else whole.to(dtype) / 255
    before = image.clone()
    out = FourierNoise(0.05)(tv_tensors.Image(image))
    full = 255 if dtype == torch.uint8 else 1
    assert isinstance(out, tv_tensors.Image)
    assert (out.dtype, out.shape) == (image.dtype, image.shape)
    assert out.min() >= 0
    assert out.max() <= full
    level = (out.double() - image.double()).square().mean().sqrt() / full
    assert level.item() == pytest.approx(0.05, rel=0.02)
    assert torch.equal(image, before)
    extreme = FourierNoise(0.5)(image)
    assert extreme.min() >= 0
    assert extreme.max() <= full


def test_noise_leaves_boxes_alone() -> None:
    image, target = scene(with_masks=True)
    out, found = FourierNoise(0.1)(image, target)
    assert not torch.equal(out.as_subclass(Tensor), image.as_subclass(Tensor))
    assert all(torch.equal(found[key], target[key]) for key in target)


@pytest.mark.parametrize("settings", [{"mixup": 0.4}, {"cutmix": 1.0}])
def test_mixing_is_torchvisions_and_writes_nothing_into_the_callers_batch(settings: dict[str, float]) -> None:
    images, targets = torch.rand(6, 3, 16, 16), F.one_hot(torch.tensor([0, 1, 2, 0, 1, 2]), 3).float()
    before = images.clone(), targets.clone()
    mixing = Mixing(probability=1.0, **settings)
    reference = v2.MixUp(alpha=0.4) if "mixup" in settings else v2.CutMix(alpha=1.0)
    torch.manual_seed(5)
    torch.rand(()), torch.randint(1, ())
    expected = reference(images, targets)
    torch.manual_seed(5)
    found = mixing(images, targets)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert torch.equal(images, before[0])
    assert torch.equal(targets, before[1])
    assert not torch.equal(found[0], images)
    torch.testing.assert_close(found[1].sum(1), torch.ones(6))


def test_cutmix_weighs_labels_by_the_pixels_that_are_left() -> None:
    """The box is clipped at the border, so lambda follows from what was pasted, not from what was drawn."""
    torch.manual_seed(0)
    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 20, 30).contiguous()
    targets = torch.eye(4)
    for _ in range(20):
        mixed, soft = Mixing(cutmix=1.0, probability=1.0)(images, targets)
        own = (mixed[:, 0] == images[:, 0]).float().mean((1, 2))
        torch.testing.assert_close(soft.diagonal(), own)


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


def test_noise_is_another_one_for_each_image_of_a_batch() -> None:
    torch.manual_seed(0)
    noisy = FourierNoise(0.1)(torch.full((4, 3, 16, 16), 0.5))
    noise = (noisy - 0.5).flatten(1)
    assert torch.corrcoef(noise).fill_diagonal_(0).abs().max() < 0.2
    torch.testing.assert_close(noise.square().mean(1).sqrt(), torch.full((4,), 0.1), atol=0.01, rtol=0)


def test_mixing_happens_as_often_as_asked_and_keeps_several_tasks_together() -> None:
    torch.manual_seed(0)
    images, joined = torch.rand(4, 3, 8, 8), torch.cat([torch.eye(4), torch.eye(4)[:, :2]], 1)
    mixing = Mixing(mixup=1.0, cutmix=1.0, probability=0.3)
    mixed = [mixing(images, joined) for _ in range(300)]
    share = sum(found is not images for found, _ in mixed) / 300
    assert share == pytest.approx(0.3, abs=0.08)
    first = next(soft for found, soft in mixed if found is not images)
    torch.testing.assert_close(first[1, 0], 1 - first[1, 1])
    torch.testing.assert_close(first[1, 4], 1 - first[1, 5])  # the other task is mixed by the same weight
    torch.testing.assert_close(first[1, 1], first[1, 5])
    assert Mixing(mixup=1.0, probability=1.0)(images[:1], joined[:1])[0] is not None


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
