"""Files and timm's folder of models for images, beside torch, torchvision, timm and ONNX Runtime called by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import timm
import torch
import torchvision
from safetensors.torch import save_file
from timm.data.config import resolve_data_config
from timm.data.transforms_factory import create_transform
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import ResNet18_Weights
from torchvision.transforms import v2

from tests.archiver.formats_page.case import EVERY_BOX, IMAGE, Case, Made, best, box, corners, largest, largest_of, top
from tests.handlers.vision.detectors.test_exported_detectors import by_hand, export
from tests.tiny_exports import NAMES, Pixels, to_onnx

SIDE = 64
LABELS = ["cat", "dog", "bird"]
CLASSIFY = "image-classification"


def normalised(side: int) -> Tensor:
    """(1, 3, side, side) by torchvision's transforms, as ImageNet's models have it."""
    steps = [v2.Resize((side, side)), v2.ToDtype(torch.float32, scale=True)]
    levels = v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    pixels: Tensor = v2.Compose([v2.PILToTensor(), *steps, levels])(IMAGE)
    return pixels[None]


def named(root: Path, labels: list[str] = LABELS) -> None:
    (root / "labels.txt").write_text("\n".join(labels) + "\n")


def resnet() -> nn.Module:
    torch.manual_seed(0)
    network: nn.Module = torchvision.models.resnet18(num_classes=3).eval()
    return network


def of_torchvision(name: str, save: Callable[[dict[str, Tensor], Path], None]) -> Made:
    """Behind the transform of its own weights."""

    def make(root: Path) -> Callable[[], str]:
        network = resnet()
        save(network.state_dict(), root / name)
        named(root)
        pixels = ResNet18_Weights.IMAGENET1K_V1.transforms()(v2.functional.pil_to_tensor(IMAGE))[None]
        return lambda: top(LABELS, network(pixels).softmax(1)[0])

    return make


def script(root: Path) -> Callable[[], str]:
    network = resnet()
    torch.jit.trace(network, torch.zeros(1, 3, 224, 224)).save(str(root / "weights.pt"))
    named(root)
    return lambda: top(LABELS, network(normalised(224)).softmax(1)[0])


def program(root: Path) -> Callable[[], str]:
    network = resnet()
    sizes = ({0: torch.export.Dim("batch", min=1, max=64)},)
    torch.export.save(
        torch.export.export(network, (torch.zeros(2, 3, 224, 224),), dynamic_shapes=sizes), root / "weights.pt2"
    )
    named(root)
    return lambda: top(LABELS, network(normalised(224)).softmax(1)[0])


def of_timm(in_folder: bool) -> Made:
    def make(root: Path) -> Callable[[], str]:
        torch.manual_seed(0)
        network = timm.create_model("test_resnet", num_classes=3).eval()
        if in_folder:
            about: dict[str, Any] = {"label_names": LABELS}
            timm.models.save_for_hf(network, str(root / "FOLDER"), model_config=about, safe_serialization=True)
        else:
            torch.save(network.state_dict(), root / "weights.pth")
            named(root)
        transform = create_transform(**resolve_data_config({}, model=network))
        return lambda: top(LABELS, network(transform(IMAGE)[None]).softmax(1)[0])

    return make


def by_onnx_runtime(path: Path, pixels: Tensor) -> Any:
    [found] = onnxruntime.InferenceSession(path).run(None, {"images": pixels.numpy()})
    return found


def graph(root: Path) -> Callable[[], str]:
    path = to_onnx(resnet(), root / "weights.onnx", SIDE, ["logits"])
    named(root)
    return lambda: top(LABELS, torch.from_numpy(by_onnx_runtime(path, normalised(SIDE))).softmax(1)[0])


def yolo(name: str) -> Made:
    def make(root: Path) -> Callable[[], str]:
        path = export(name, root / "weights.onnx")

        def answer() -> str:
            sides, index, score = by_hand(path, name, IMAGE)[0]
            return f"{NAMES[index]} {score:.3f} at {corners(sides)}"

        return answer

    return make


def segmenter(root: Path) -> Callable[[], str]:
    labels = ["sky", "house", "tree"]
    path = to_onnx(Pixels(3), root / "weights.onnx", SIDE, ["logits"])
    named(root, labels)

    def answer() -> str:
        logits = torch.from_numpy(by_onnx_runtime(path, normalised(SIDE)))
        return largest_of(labels, np.asarray(F.interpolate(logits, (SIDE, SIDE), mode="bilinear").argmax(1)))

    return answer


def of_onnx(weights: str, task: str, make: Made, read: Any) -> Case:
    request = {"request": EVERY_BOX} if task == "object-detection" else {}
    return Case(f"ONNX, {weights}", task, "weights.onnx", "onnxruntime", make, read, **request)


def classifier(weights: str, arguments: str, library: str, make: Made) -> Case:
    return Case(weights, CLASSIFY, arguments, library, make, best)


CASES = [
    classifier(
        "`.pth` of torchvision",
        "weights.pth --architecture resnet18",
        "torchvision",
        of_torchvision("weights.pth", torch.save),
    ),
    classifier(
        "`.safetensors` of torchvision",
        "weights.safetensors --architecture resnet18",
        "torchvision",
        of_torchvision("weights.safetensors", save_file),
    ),
    classifier("TorchScript", f"weights.pt --task {CLASSIFY}", "torch", script),
    classifier("`.pt2` of torch.export", f"weights.pt2 --task {CLASSIFY}", "torch", program),
    classifier("timm's folder", "FOLDER", "timm", of_timm(in_folder=True)),
    classifier("`.pth` of timm", "weights.pth --architecture timm/test_resnet", "timm", of_timm(in_folder=False)),
    of_onnx("a classifier", CLASSIFY, graph, best),
    of_onnx("YOLO's raw grid", "object-detection", yolo("yolov8"), box),
    of_onnx("end to end", "object-detection", yolo("end-to-end"), box),
    of_onnx("a segmenter", "semantic-segmentation", segmenter, largest),
]
