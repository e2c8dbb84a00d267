"""Semantic segmentation: label maps, mean IoU against numpy, networks by name, from the file to the answer."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask
from torch.nn import functional as F
from torchvision.transforms.functional import pil_to_tensor
from typer.testing import CliRunner

from handlers.loader import from_safetensors
from tests.train.vision.detection.test_experiment import served
from tests.train.vision.segmentation.test_label_maps import LABELS
from train.__main__ import app
from train.core.config import ExperimentError
from train.core.published_weights import load_but_predictors
from train.core.run import Run
from train.vision.segmentation.experiment import reference
from train.vision.segmentation.label_maps import IGNORE
from train.vision.segmentation.models import HEADS, SegmenterSettings
from train.vision.segmentation.module import OverlapMetric, cross_entropy, dice_loss

# A quarter of a minute for a graph of layers that the others' graphs have, too.
WITHOUT_GRAPH = ("fcn_resnet50",)


def numpy_iou(
    predicted: list[NDArray[Any]], true: list[NDArray[Any]], classes: int
) -> tuple[float, list[float | None]]:
    """Intersections and unions counted class by class over all pixels, what is ignored left out."""
    found: list[float | None] = []
    for label in range(classes):
        counted = [t != IGNORE for t in true]
        both = sum(
            int(((p == label) & (t == label) & c).sum()) for p, t, c in zip(predicted, true, counted, strict=True)
        )
        either = sum(
            int((((p == label) | (t == label)) & c).sum()) for p, t, c in zip(predicted, true, counted, strict=True)
        )
        found.append(both / either if either else None)
    there = [value for value in found if value is not None]
    return sum(there) / len(there), found


@pytest.mark.parametrize("absent", [False, True])
def test_mean_iou_equals_numpy_s(absent: bool) -> None:
    """With ignored pixels, images of different sizes, and a class that is neither true nor predicted."""
    rng = np.random.default_rng(0)
    metric = OverlapMetric(6)
    predicted, true = [], []
    for _ in range(7):
        shape = tuple(int(n) for n in rng.integers(5, 40, 2))
        true.append(rng.choice([0, 1, 2, 3, 4, IGNORE], shape))
        wrong = rng.random(shape) < 0.4
        predicted.append(np.where(wrong | (true[-1] == IGNORE), rng.integers(0, 5 if absent else 6, shape), true[-1]))
        metric.update(torch.from_numpy(predicted[-1]), torch.from_numpy(true[-1]))
    measured = metric.compute()
    mean, by_class = numpy_iou(predicted, true, 6)
    assert measured.mean == pytest.approx(mean, abs=1e-6)
    assert (by_class[5] is None) == absent
    for got, wanted in zip(measured.by_class, by_class, strict=True):
        assert got == (None if wanted is None else pytest.approx(wanted, abs=1e-6))
    counted = sum(int((t != IGNORE).sum()) for t in true)
    right = sum(int(((p == t) & (t != IGNORE)).sum()) for p, t in zip(predicted, true, strict=True))
    assert measured.accuracy == pytest.approx(right / counted)
    assert measured.to_dict(list("abcdef"))["IoU per class"]["f"] == (None if absent else 0.0)


def test_loss_is_torch_s_and_zero_where_all_is_ignored() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 4, 5)
    masks = torch.randint(0, 3, (2, 4, 5))
    masks[0, 0] = IGNORE
    torch.testing.assert_close(cross_entropy(logits, masks), F.cross_entropy(logits, masks, ignore_index=IGNORE))
    assert cross_entropy(logits, torch.full_like(masks, IGNORE)).item() == 0.0


@pytest.mark.parametrize("architecture", ["lraspp_mobilenet_v3_large", "deeplabv3_resnet50", "fcn_resnet101"])
def test_published_weights_fill_all_but_the_heads(architecture: Any) -> None:
    settings = SegmenterSettings(architecture=architecture, weights="none")
    heads = HEADS[architecture.partition("_")[0]]
    with torch.device("meta"):
        published, network = settings.network(21), settings.network(21)
        other = settings.network(4).state_dict()
    loaded = load_but_predictors(network, published.state_dict(), heads)
    left = set(network.state_dict()) - set(loaded)
    assert left
    assert all(name.startswith(heads) for name in left)
    assert {name for name, value in published.state_dict().items() if value.shape != other[name].shape} <= left


def test_real_imagenet_weights_and_unknown_ones() -> None:
    settings = SegmenterSettings(architecture="mobilenet_v2_lraspp")
    assert len(settings.initialise(settings.network(3))) == 39  # up to layer 13: 1, 2, and 3 in each of 12 blocks
    with pytest.raises(ExperimentError, match="none, backbone, COCO_WITH_VOC_LABELS_V1, DEFAULT"):
        SegmenterSettings(architecture="fcn_resnet50", weights="VOC").published()


@torch.inference_mode()
def check_answers(worker: Any, path: Path) -> None:
    model = from_safetensors(worker.handler.artifact).eval()
    [answer] = worker.json({"body": path.read_bytes(), "content-type": b"image/jpeg"})
    with Image.open(path) as image:
        tensor = pil_to_tensor(image)
    logits = model(worker.handler.transform(tensor)[None])["out"]
    expected = F.interpolate(logits, tensor.shape[-2:], mode="bilinear", align_corners=False)[0].argmax(0).numpy()
    got = np.zeros(expected.shape, np.int64)
    for segment in answer["segments"]:
        got[coco_mask.decode(segment["rle"]).astype(bool)] = segment["index"]
    assert (got != expected).mean() < 0.01


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "kind", "weights"),
    [
        ("mobilenet_v2_lraspp", "coco", "backbone"),
        ("lraspp_mobilenet_v3_large", "maps", "none"),
        ("deeplabv3_mobilenet_v3_large", "coco", "none"),
        ("fcn_resnet50", "maps", "none"),
    ],
)
def test_from_the_file_to_the_answer(
    architecture: str, kind: str, weights: str, source: dict[str, Path], maps: dict[str, Path], tmp_path: Path
) -> None:
    data: dict[str, Any] = {**source} if kind == "coco" else {**maps, "labels": LABELS}
    values = {
        "system": "semantic-segmentation",
        "data": {name: str(value) if isinstance(value, Path) else value for name, value in data.items()}
        | {"workers": 0, "validation_share": 0.25},
        "model": {"architecture": architecture, "weights": weights},
        "learning": {"optimizer": "sgd", "learning_rate": 1e-3},
        "image_size": [64, 96],
        "batch_size": 3,
        "trainer": {"epochs": 1, "precision": "32-true", "accelerator": "cpu", "log_every": 1},
    }
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump(values))
    done = CliRunner().invoke(app, [str(mine), "--output", str(tmp_path), "--runs", str(tmp_path / "runs")])
    assert done.exit_code == 0, done.output
    run = Run.find(tmp_path / "runs", "mine")
    fitted, tested = run.recorded("fit"), run.recorded("test")
    assert fitted["steps"] == 2
    assert tested["mean IoU"] == pytest.approx(fitted["score"], abs=1e-4)
    assert list(tested["IoU per class"]) == LABELS
    for plot in ("confusion.png", "examples.jpg"):
        assert (run.plots / plot).stat().st_size > 5_000
    shutil.rmtree(run.checkpoints)  # hundreds of megabytes
    description = json.loads((tmp_path / "mine" / "artifact.json").read_text())
    assert sum(description["reference"]["pixels"].values()) == pytest.approx(1, abs=1e-3)
    backend = "torch" if architecture in WITHOUT_GRAPH else "auto"
    check_answers(served(tmp_path / "mine", tmp_path, options={}, backend=backend), tmp_path / "mine" / "sample.jpg")


def test_augmented_images_are_drawn(maps: dict[str, Path], tmp_path: Path) -> None:
    data = {**{name: str(path) for name, path in maps.items()}, "labels": LABELS}
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump({"system": "semantic-segmentation", "data": data, "image_size": [64, 96]}))
    output = tmp_path / "grid.png"
    keys = ["augmentation.extra.rotate=20", "augmentation.extra.elastic=3"]
    done = CliRunner().invoke(app, ["augmentations", str(mine), *keys, "--output", str(output), "--count", "3"])
    assert done.exit_code == 0, done.output
    with Image.open(output) as grid:
        assert grid.width > grid.height
        assert len(grid.convert("RGB").getcolors(1 << 20) or []) > 1000


def test_reference_statistics() -> None:
    parts = [np.array([0.75, 0.25, 0.0]), np.array([0.25, 0.0, 0.75]), np.array([1.0, 0.0, 0.0005 / 0.9995])]
    statistics = reference(parts, ["background", "a", "b"])
    assert statistics["seen"] == {"background": 1.0, "a": 0.3333, "b": 0.3333}
    assert statistics["pixels"]["a"] == 0.0833


def test_dice_of_a_perfect_and_of_a_wrong_answer() -> None:
    masks = torch.tensor([[[0, 0, 1], [1, 2, 2]]])
    right = 50.0 * F.one_hot(masks, 3).permute(0, 3, 1, 2).float()
    assert dice_loss(right, masks).item() == pytest.approx(0.0, abs=1e-4)
    wrong = right.roll(1, dims=1)
    assert dice_loss(wrong, masks).item() > 0.7
    # A prediction where nothing is known counts neither way.
    unknown = masks.clone()
    unknown[0, 0, 0] = 255
    wrong_there = right.clone()
    wrong_there[0, :, 0, 0] = torch.tensor([0.0, 50.0, 0.0])
    assert dice_loss(wrong_there, unknown).item() == pytest.approx(0.0, abs=1e-4)
