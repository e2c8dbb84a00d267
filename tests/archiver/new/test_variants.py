"""Files as people have them: wrappers' names, programs of one batch size, graphs of several kinds of input."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import resnet18
from torchvision.transforms.functional import pil_to_tensor

from archiver.new.kinds import Options
from handlers.vision.transform import ImageTransform
from tests.inputs import IMAGES, encoded
from tests.new_models import new, served
from tests.tiny_exports import to_onnx

SIDE = 64
IMAGE = IMAGES[0].resize((SIDE, SIDE))
ROW: dict[str, Any] = {"body": encoded(IMAGE), "content-type": b"image/png"}
LEVELS = pil_to_tensor(IMAGE)[None]
PIXELS = ImageTransform(resize=(SIDE, SIDE))(LEVELS[0])[None]


def network() -> nn.Module:
    torch.manual_seed(0)
    return resnet18(num_classes=3).eval()


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 5, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(8, 3)
        with torch.no_grad():
            self.head.weight.mul_(5)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.layers(images))


class OfBytes(Small):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.float() / 255)


class ChannelsLast(Small):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.permute(0, 3, 1, 2))


def check(worker: Any, wanted: Tensor, tolerance: float = 1e-3) -> None:
    """In a batch of three, each has the library's probabilities."""
    for answer in worker.json(ROW, ROW, ROW):
        found = {each["index"]: each["probability"] for each in answer["predictions"]}
        np.testing.assert_allclose([found[i] for i in range(3)], wanted.softmax(1)[0].detach(), atol=tolerance)


State = dict[str, Tensor]


def prefixed(prefix: str) -> Callable[[State], State]:
    return lambda state: {f"{prefix}{name}": value for name, value in state.items()}


def of_lightning(state: State) -> dict[str, Any]:
    """As its trainer saves a module that has a loss with weights of its own."""
    weights = {**prefixed("model.")(state), "loss.weight": torch.ones(3)}
    return {"epoch": 3, "state_dict": weights, "optimizer_states": [{"state": {}}], "hyper_parameters": {"lr": 0.1}}


WRAPPED: dict[str, tuple[str, Callable[[State], Any]]] = {
    "of DataParallel": ("weights.pth", prefixed("module.")),
    "of torch.compile": ("weights.pth", prefixed("_orig_mod.")),
    "of both": ("weights.pth", prefixed("module._orig_mod.")),
    "safetensors of both": ("weights.safetensors", prefixed("module._orig_mod.")),
    "of Lightning with a loss": ("last.ckpt", of_lightning),
    "without counters of batches": (
        "weights.pth",
        lambda state: {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")},
    ),
    "of torchvision's references": ("model_9.pth", lambda state: {"model": state, "epoch": 9, "args": None}),
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_a_state_dict_in_a_wrappers_names(kind: str, tmp_path: Path, labels: Path) -> None:
    (name, wrap), model = WRAPPED[kind], network()
    (save_file if name.endswith("safetensors") else torch.save)(wrap(model.state_dict()), tmp_path / name)
    about = Options(architecture="resnet18", labels=labels)
    square = {"preprocessing": {"resize": [SIDE, SIDE], "crop": None}}
    check(served(tmp_path / name, tmp_path / "model", about, **square), model(PIXELS))


@pytest.mark.parametrize(("size", "backend"), [(1, "torch"), (2, "auto")])
def test_a_program_of_one_batch_size(size: int, backend: str, tmp_path: Path, labels: Path) -> None:
    """As torch.export makes it where nobody names a dynamic batch."""
    model, path = Small().eval(), tmp_path / "weights.pt2"
    torch.export.save(torch.export.export(model, (torch.zeros(size, 3, SIDE, SIDE),)), path)
    about = Options("image-classification", None, labels)
    worker = served(path, tmp_path / "model", about, backend=backend, preprocessing={"resize": [SIDE, SIDE]})
    check(worker, model(PIXELS))


GRAPHS: dict[str, tuple[nn.Module, tuple[int, ...], torch.dtype, dict[str, Any]]] = {
    "of any batch": (Small(), (1, 3, SIDE, SIDE), torch.float32, {}),
    "of opset 9": (Small(), (1, 3, SIDE, SIDE), torch.float32, {"opset_version": 9}),
    "of opset 20": (Small(), (1, 3, SIDE, SIDE), torch.float32, {"opset_version": 20}),
    "of one image": (Small(), (1, 3, SIDE, SIDE), torch.float32, {"dynamic_axes": None}),
    "of four images": (Small(), (4, 3, SIDE, SIDE), torch.float32, {"dynamic_axes": None}),
    "of half precision": (Small().half(), (1, 3, SIDE, SIDE), torch.float16, {}),
    "of bytes": (OfBytes(), (1, 3, SIDE, SIDE), torch.uint8, {}),
    "with channels last": (ChannelsLast(), (1, SIDE, SIDE, 3), torch.float32, {}),
}


@pytest.mark.parametrize("kind", GRAPHS)
def test_a_graph(kind: str, tmp_path: Path, labels: Path) -> None:
    model, shape, dtype, changes = GRAPHS[kind]
    axes = {"images": {0: "batch"}, "logits": {0: "batch"}}
    settings = {"input_names": ["images"], "output_names": ["logits"], "opset_version": 17, "dynamic_axes": axes}
    path, example = tmp_path / "weights.onnx", torch.zeros(shape, dtype=dtype)
    torch.onnx.export(model.eval(), (example,), path, dynamo=False, **{**settings, **changes})
    worker = served(path, tmp_path / "model", Options(labels=labels), backend="auto")
    wanted = OfBytes()(LEVELS) if dtype == torch.uint8 else Small()(PIXELS)
    check(worker, wanted, 5e-3 if dtype == torch.float16 else 1e-3)


def test_a_graph_with_its_weights_in_another_file(tmp_path: Path, labels: Path) -> None:
    path = to_onnx(Small(), tmp_path / "weights.onnx", SIDE, ["logits"])
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.onnx.data", size_threshold=0)
    assert (tmp_path / "weights.onnx.data").stat().st_size > 0
    check(served(path, tmp_path / "model", Options(labels=labels), backend="auto"), Small()(PIXELS))


def test_bytes_that_are_normalised_are_refused(tmp_path: Path, labels: Path) -> None:
    """Instead of the wrong answer that a cast would give."""
    path = to_onnx_of_bytes(tmp_path / "weights.onnx")
    spec = yaml.safe_load(new(path, tmp_path / "model", Options(labels=labels)).read_text())
    assert spec["preprocessing"]["std"] == [1 / 255] * 3
    imagenet = {"resize": [SIDE, SIDE], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    with pytest.raises(ValueError, match="the file takes levels from 0 to 255"):
        served(path, tmp_path / "other", Options(labels=labels), backend="auto", preprocessing=imagenet)


def to_onnx_of_bytes(path: Path) -> Path:
    names: dict[str, Any] = {
        "input_names": ["images"],
        "output_names": ["logits"],
        "opset_version": 17,
        "dynamo": False,
    }
    torch.onnx.export(OfBytes().eval(), (torch.zeros(1, 3, SIDE, SIDE, dtype=torch.uint8),), path, **names)
    return path
