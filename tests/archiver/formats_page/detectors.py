"""Masks and keypoints of torchvision's detectors, beside the networks themselves and ONNX Runtime called by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import onnxruntime
import torch
from torch import nn
from torchvision.models import resnet50
from torchvision.models.detection import KeypointRCNN, MaskRCNN, maskrcnn_resnet50_fpn
from torchvision.models.detection._utils import overwrite_eps
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.ops.misc import FrozenBatchNorm2d
from torchvision.transforms.functional import pil_to_tensor

from tests.archiver.formats_page.case import EVERY_BOX, IMAGE, Answer, Case, Made, box, corners
from tests.archiver.formats_page.files import named
from tests.scripted_detectors import OBJECTS, PEOPLE, keypoints, masks, scripts

FOUR = [f"keypoint {index}" for index in range(4)]
PIXELS = IMAGE.width * IMAGE.height
INSTANCES, KEYPOINTS = "instance-segmentation", "keypoint-detection"
Network: TypeAlias = MaskRCNN | KeypointRCNN


def mask(answer: Answer) -> str:
    first = answer["segments"][0]
    return masked(first["label"], first["score"], first["area"])


def masked(label: str, score: float, area: int) -> str:
    return f"{label} {score:.3f}, {area / PIXELS:.3f} of the pixels"


def point(answer: Answer) -> str:
    first = answer["detections"][0]
    place = first["keypoints"][0]
    return pointed(first["label"], first["score"], place["name"], [place["x"], place["y"]])


def pointed(label: str, score: float, name: str, place: list[float]) -> str:
    return f"{label} {score:.3f}, {name} at {corners(place)}"


def best_of(network: Network) -> str:
    [found] = network([pil_to_tensor(IMAGE) / 255])
    index, score = int(found["labels"][0]), float(found["scores"][0])
    if isinstance(network, MaskRCNN):
        return masked(OBJECTS[index], score, int((found["masks"][0] >= 0.5).sum()))
    return pointed(PEOPLE[index], score, FOUR[0], found["keypoints"][0, 0, :2].tolist())


def published_keypoints(weights: None, weights_backbone: None, **arguments: Any) -> KeypointRCNN:
    """As torchvision builds it for its own weights: with frozen batch norms that have no epsilon, which tells here."""
    backbone = _resnet_fpn_extractor(resnet50(weights=weights_backbone, norm_layer=FrozenBatchNorm2d), 3)
    network = KeypointRCNN(backbone, **arguments)
    overwrite_eps(network, 0.0)
    body: Any = backbone.body
    body.bn1.running_var.fill_(1e-4)
    with torch.no_grad():
        body.conv1.weight.mul_(1e-2)
    return network


def labels_of(network: Network) -> list[str]:
    return OBJECTS if isinstance(network, MaskRCNN) else PEOPLE


def of_torchvision(build: Callable[..., Network], spread: float, background: float, **arguments: Any) -> Made:
    """spread, background: of the logits, and of the background's, so that few boxes are left: each costs a head."""

    def make(root: Path) -> Callable[[], str]:
        network = build(weights=None, weights_backbone=None, min_size=64, **arguments).eval()
        with torch.no_grad():
            network.roi_heads.box_predictor.cls_score.weight.mul_(spread)
            network.roi_heads.box_predictor.cls_score.bias[0] = background
        torch.save(network.state_dict(), root / "weights.pth")
        named(root, labels_of(network))
        return lambda: best_of(network)

    return make


def scripted(name: str, build: Callable[[], Network]) -> Made:
    def make(root: Path) -> Callable[[], str]:
        network = build()
        (root / "weights.pt").write_bytes(scripts()[name])
        named(root, labels_of(network))
        return lambda: best_of(network)

    return make


def graph(root: Path) -> Callable[[], str]:
    path, network = root / "weights.onnx", masks()
    names = ["boxes", "labels", "scores", "masks"]
    to_onnx(network, path, names)
    named(root, OBJECTS)

    def answer() -> str:
        pixels = (pil_to_tensor(IMAGE) / 255)[None]
        outputs = onnxruntime.InferenceSession(path).run(names, {"images": pixels.numpy()})
        sides, label, score, _ = (output[0] for output in outputs)
        return f"{OBJECTS[int(label)]} {float(score):.3f} at {corners(sides)}"

    return answer


def to_onnx(network: nn.Module, path: Path, outputs: list[str]) -> None:
    """As torchvision exports its detectors, with a batch of one image."""
    example = (torch.zeros(1, 3, IMAGE.height, IMAGE.width),)
    torch.onnx.export(
        network, example, path, dynamo=False, input_names=["images"], output_names=outputs, opset_version=17
    )


def pickled(model: str, task: str, architecture: str, make: Made, read: Callable[[Answer], str]) -> Case:
    arguments = f'weights.pth --architecture "{architecture}(min_size=64)"'
    return Case(f"`.pth` of torchvision, {model}", task, arguments, "torchvision", make, read)


def script(model: str, task: str, make: Made, read: Callable[[Answer], str]) -> Case:
    return Case(f"TorchScript, {model}", task, f"weights.pt --task {task}", "torchvision", make, read, EVERY_BOX)


MASKS, POINTS = "Mask R-CNN", "Keypoint R-CNN"
CASES = [
    pickled(
        MASKS, INSTANCES, "maskrcnn_resnet50_fpn", of_torchvision(maskrcnn_resnet50_fpn, 3, 12, num_classes=4), mask
    ),
    script(MASKS, INSTANCES, scripted("masks", masks), mask),
    Case(f"ONNX, {MASKS}", "object-detection", "weights.onnx", "onnxruntime", graph, box, EVERY_BOX),
    pickled(
        POINTS,
        KEYPOINTS,
        "keypointrcnn_resnet50_fpn",
        of_torchvision(published_keypoints, 6, 8.5, num_classes=2, num_keypoints=4),
        point,
    ),
    script(POINTS, KEYPOINTS, scripted("keypoints", keypoints), point),
]
