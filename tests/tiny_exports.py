"""Small networks as ONNX files, with random weights: detectors of each layout of outputs, a segmenter, and others."""

from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from tests.tiny_vision import photograph
from train.core.artifact import Artifact

NAMES = ["person", "bicycle", "car"]
SIDE, STRIDE, CLASSES, BEST = 64, 8, len(NAMES), 10


class Grid(nn.Module):
    """A box around each cell of 8 x 8 pixels, and scores, from one convolution: (B, 4 + C, cells), as YOLOv8 has it."""

    def __init__(self, objectness: bool = False) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.objectness = objectness
        self.features = nn.Conv2d(3, 4 + objectness + CLASSES, STRIDE, STRIDE)
        cells = torch.arange(SIDE // STRIDE) * STRIDE + STRIDE / 2
        centres = torch.stack(torch.meshgrid(cells, cells, indexing="xy")).flatten(1)
        self.register_buffer("centres", centres[None])

    def forward(self, images: Tensor) -> Tensor:
        found = self.features(images).flatten(2)
        centres = self.centres + 8 * found[:, :2].tanh()
        sizes = 12 + 24 * found[:, 2:4].sigmoid()
        grid = torch.cat([centres, sizes, (4 * found[:, 4:]).sigmoid()], 1)
        return grid.transpose(1, 2) if self.objectness else grid


class EndToEnd(nn.Module):
    """The ten best of a grid as rows: (B, 10, 6), or (10 B, 7) with the image they are of."""

    def __init__(self, numbered: bool) -> None:
        super().__init__()
        self.grid, self.numbered = Grid(), numbered

    def forward(self, images: Tensor) -> Tensor:
        boxes, scores, labels = best(self.grid(images))
        if not self.numbered:
            return torch.cat([boxes, scores[..., None], labels[..., None].float()], 2)
        numbers = torch.arange(images.shape[0])[:, None, None].expand(-1, BEST, 1).float()
        return torch.cat([numbers, boxes, labels[..., None].float(), scores[..., None]], 2).flatten(0, 1)


class Separate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.grid = Grid()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        boxes, scores, labels = best(self.grid(images))
        return labels, boxes, scores


def best(grid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    scores, labels = grid[:, 4:].max(1)
    scores, order = scores.topk(BEST, 1)
    centres, sizes = grid[:, :2], grid[:, 2:4]
    corners = torch.cat([centres - sizes / 2, centres + sizes / 2], 1).transpose(1, 2)
    return corners.gather(1, order[..., None].expand(-1, -1, 4)), scores, labels.gather(1, order)


class Pixels(nn.Module):
    """Logits (B, classes, H / 4, W / 4) of an image."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 5, 4, 2), nn.ReLU(), nn.Conv2d(8, classes, 3, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        return 3 * self.layers(images)


def to_onnx(network: nn.Module, path: Path, side: int, outputs: list[str], axis: str = "batch", **named: Any) -> Path:
    """Takes any number of images of one size. axis: the name of the outputs' first dimension."""
    named.setdefault("dynamic_axes", {"images": {0: "batch"}, **{each: {0: axis} for each in outputs}})
    torch.onnx.export(
        network.eval(),
        (torch.zeros(1, 3, side, side),),
        path,
        dynamo=False,
        input_names=["images"],
        output_names=outputs,
        opset_version=17,
        **named,
    )
    return path


def as_ultralytics(path: Path) -> Path:
    """With the metadata that it writes into its exports."""
    model = onnx.load(path)
    for key, value in {"task": "detect", "names": str(dict(enumerate(NAMES)))}.items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, path)
    return path


def detection(folder: Path) -> Path:
    return Artifact(
        name="tiny-yolo",
        task="object-detection",
        format="onnx",
        labels=NAMES,
        preprocessing={"size": [SIDE, SIDE], "output": {"layout": "grid", "nms": True}},
    ).write(folder, to_onnx(Grid(), folder.with_name("grid.onnx"), SIDE, ["output0"]), photograph(folder))


def segmentation(folder: Path) -> Path:
    return Artifact(
        name="tiny-pixels",
        task="semantic-segmentation",
        format="onnx",
        labels=["sky", "house", "tree"],
        preprocessing={"resize": [SIDE, SIDE], "background": None},
    ).write(folder, to_onnx(Pixels(3), folder.with_name("pixels.onnx"), SIDE, ["logits"]), photograph(folder))
