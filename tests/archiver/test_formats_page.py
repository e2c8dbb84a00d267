"""The table of docs/formats.md: each row's command, and the answer that it leads to beside the source library's own.

`FORMATS_PAGE=1` writes the rows that this machine finds into the page.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import timm
import torch
import torchvision
from timm.data.config import resolve_data_config
from timm.data.transforms_factory import create_transform
from torch import nn
from torch.nn import functional as F
from torchvision.transforms.functional import pil_to_tensor
from transformers import pipeline

from archiver.new.kinds import Options
from handlers.vision.transform import ImageTransform
from tests import tiny_transformers, tiny_vision
from tests.handlers.vision.detectors.test_exported_detectors import by_hand, export
from tests.handlers.vision.served import PROJECT, ROWS
from tests.inputs import IMAGES, encoded
from tests.new_models import served
from tests.tiny_exports import Pixels, to_onnx

PAGE = PROJECT / "docs" / "formats.md"
NUMBER = re.compile(r"-?\d+\.\d+")
IMAGE = IMAGES[0].resize((64, 64))  # of the models' own size, so that no resize of one library rounds otherwise
Made = tuple[Path, Callable[[], str]]
ANY = Options()


@dataclass(frozen=True)
class Case:
    """weights, task, command: as the page has them. make: writes the weights, and gives the library's own answer.

    read: the part of our answer that the page shows.
    """

    weights: str
    task: str
    command: str
    library: str
    make: Callable[[Path], Made]
    read: Callable[[dict[str, Any]], str]
    about: Options = ANY
    spec: dict[str, Any] | None = None


def best(answer: dict[str, Any]) -> str:
    first = answer["predictions"][0]
    return f"{first['label']} {first['probability']:.3f}"


def box(answer: dict[str, Any]) -> str:
    first = answer["detections"][0]
    return f"{first['label']} {first['score']:.3f} at {', '.join(f'{side:.1f}' for side in first['box'])}"


def ranked(labels: list[str], probabilities: Any) -> str:
    index = int(np.argmax(probabilities))
    return f"{labels[index]} {float(probabilities[index]):.3f}"


def from_folder(maker: Any) -> Callable[[Path], Path]:
    return lambda root: tiny_transformers.save(maker(), root / "folder")


def by_pipeline(task: str, folder: Callable[[Path], Path], read: Callable[[Any], str], **options: Any) -> Any:
    def make(root: Path) -> Made:
        path = folder(root)
        return path, lambda: read(pipeline(task, model=str(path))(IMAGE, **options))  # type: ignore[call-overload]

    return make


def found_best(found: list[dict[str, Any]]) -> str:
    first = max(found, key=lambda each: each["score"])
    return f"{first['label']} {first['score']:.3f}"


def detected(answer: dict[str, Any]) -> str:
    """Without the box, whose sides the pipeline cuts to whole pixels."""
    return found_best(answer["detections"])


def unit(values: Any) -> str:
    vector = np.ravel(values)
    return ", ".join(f"{value:.3f}" for value in (vector / np.linalg.norm(vector))[:3])


def classifier(form: str) -> Callable[[Path], Made]:
    def make(root: Path) -> Made:
        torch.manual_seed(0)
        network: nn.Module = torchvision.models.resnet18(num_classes=3).eval()
        path = root / f"weights{form}"
        if form == ".pth":
            torch.save(network.state_dict(), path)
        elif form == ".pt":
            torch.jit.trace(network, torch.zeros(1, 3, 64, 64)).save(str(path))
        else:
            sizes = ({0: torch.export.Dim("batch", min=1, max=64)},)
            torch.export.save(torch.export.export(network, (torch.zeros(2, 3, 64, 64),), dynamic_shapes=sizes), path)
        (root / "labels.txt").write_text("cat\ndog\nbird\n")
        pixels = ImageTransform(resize=(64, 64))(pil_to_tensor(IMAGE))[None]
        return path, lambda: ranked(["cat", "dog", "bird"], network(pixels).softmax(1)[0])

    return make


def of_timm(root: Path) -> Made:
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=3).eval()
    path = root / "weights.pth"
    torch.save(network.state_dict(), path)
    (root / "labels.txt").write_text("cat\ndog\nbird\n")
    transform = create_transform(**resolve_data_config({}, model=network))
    return path, lambda: ranked(["cat", "dog", "bird"], network(transform(IMAGE)[None]).softmax(1)[0])


def yolo(name: str) -> Callable[[Path], Made]:
    def make(root: Path) -> Made:
        path = export(name, root / "weights.onnx")

        def answer() -> str:
            corners, index, score = by_hand(path, name, IMAGE)[0]
            return f"{['person', 'bicycle', 'car'][index]} {score:.3f} at {', '.join(f'{s:.1f}' for s in corners)}"

        return path, answer

    return make


def segmenter(root: Path) -> Made:
    path = to_onnx(Pixels(3), root / "weights.onnx", 64, ["logits"])
    (root / "labels.txt").write_text("sky\nhouse\ntree\n")

    def answer() -> str:
        pixels = ImageTransform(resize=(64, 64))(pil_to_tensor(IMAGE))[None].numpy()
        [logits] = onnxruntime.InferenceSession(path).run(None, {"images": pixels})
        found = F.interpolate(torch.from_numpy(logits), (64, 64), mode="bilinear").argmax(1)
        return f"house {float((found == 1).float().mean()):.3f} of the pixels"

    return path, answer


def share(label: str) -> Callable[[dict[str, Any]], str]:
    def read(answer: dict[str, Any]) -> str:
        total = answer["size"][0] * answer["size"][1]
        area = sum(segment["area"] for segment in answer["segments"] if segment["label"] == label)
        return f"{label} {area / total:.3f} of the pixels"

    return read


def depths(found: Any) -> str:
    return f"{float(found['predicted_depth'].min()):.3f} to {float(found['predicted_depth'].max()):.3f}"


FOLDER, FILE = "--weights FOLDER", "--weights weights"
SQUARE: dict[str, Any] = {"preprocessing": {"resize": [64, 64]}}
OPEN: dict[str, Any] = {"options": {"score_threshold": 0.0}}


def top(found: list[dict[str, Any]]) -> str:
    return f"{found[0]['label']} {found[0]['score']:.3f}"


def tiny(name: str) -> Callable[[Path], Path]:
    return lambda root: tiny_vision.source(name, root / "folder")


def of_folder(model: str, task: str, make: Any, read: Any, spec: dict[str, Any] | None = None) -> Case:
    return Case(f"Hugging Face folder, {model}", task, FOLDER, "transformers", make, read, spec=spec)


def of_file(
    weights: str, form: str, flags: str, library: str, make: Any, about: Options, spec: dict[str, Any] | None = None
) -> Case:
    """A file of a classifier."""
    return Case(weights, "image-classification", f"{FILE}{form} {flags}", library, make, best, about, spec)


def of_onnx(weights: str, task: str, make: Any, read: Any, spec: dict[str, Any] | None = None) -> Case:
    return Case(weights, task, f"{FILE}.onnx", "onnxruntime", make, read, spec=spec)


TRANSFORMERS, CLASSIFY = tiny_transformers, "image-classification"
ZERO = "zero-shot-image-classification"
DETECT, EXTRACT, DEPTH = "object-detection", "image-feature-extraction", "depth-estimation"
CHOICE = {"candidate_labels": ["a cat", "a dog"]}
CASES = [
    of_folder("ViT", CLASSIFY, by_pipeline(CLASSIFY, from_folder(TRANSFORMERS.vit), top), best),
    of_folder(
        "DETR", DETECT, by_pipeline(DETECT, from_folder(TRANSFORMERS.detr), found_best, threshold=0.0), detected, OPEN
    ),
    of_folder(
        "DPT", DEPTH, by_pipeline(DEPTH, tiny("dpt"), depths), lambda a: f"{a['minimum']:.3f} to {a['maximum']:.3f}"
    ),
    of_folder(
        "DINOv2",
        "image-embedding",
        by_pipeline(EXTRACT, tiny("dinov2"), unit, pool=True),
        lambda a: unit(a["embedding"]),
    ),
    of_folder("CLIP", ZERO, by_pipeline(ZERO, tiny("clip"), top, **CHOICE), best),
    of_file(
        "`.pth` of torchvision",
        ".pth",
        "--architecture resnet18",
        "torchvision",
        classifier(".pth"),
        Options(architecture="resnet18"),
        {"preprocessing": {"resize": [64, 64], "crop": None}},
    ),
    of_file("TorchScript", ".pt", f"--task {CLASSIFY}", "torch", classifier(".pt"), Options(task=CLASSIFY), SQUARE),
    of_file(
        "`.pt2` of torch.export",
        ".pt2",
        f"--task {CLASSIFY}",
        "torch",
        classifier(".pt2"),
        Options(task=CLASSIFY),
        SQUARE,
    ),
    of_file(
        "`.pth` of timm",
        ".pth",
        "--architecture timm/test_resnet",
        "timm",
        of_timm,
        Options(architecture="timm/test_resnet"),
    ),
    of_onnx("ONNX, YOLO's raw grid", DETECT, yolo("yolov8"), box, OPEN),
    of_onnx("ONNX, end to end", DETECT, yolo("end-to-end"), box, OPEN),
    of_onnx("ONNX, a segmenter", "semantic-segmentation", segmenter, share("house")),
]


def row_of(case: Case, ours: str, theirs: str) -> str:
    command = f"`./bundle new NAME {case.command}`"
    return f"| {case.weights} | {case.task} | {command} | {ours} | {theirs} ({case.library}) |"


def alike(one: str, other: str) -> bool:
    """The same words, and numbers that differ by their last digit at most."""
    mine, wanted = ([float(number) for number in NUMBER.findall(text)] for text in (one, other))
    words = [NUMBER.sub("", text) for text in (one, other)]
    digits = {len(number.partition(".")[2]) for number in NUMBER.findall(one)}
    return words[0] == words[1] and np.allclose(mine, wanted, atol=2.5 * 10.0 ** -min(digits, default=3))


@torch.inference_mode()
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.weights)
def test_an_answer_is_the_librarys_and_the_pages(case: Case, tmp_path: Path) -> None:
    torch.manual_seed(0)  # whatever was drawn before
    path, library = case.make(tmp_path)
    about = case.about
    if (tmp_path / "labels.txt").is_file():
        about = Options(about.task, about.architecture, tmp_path / "labels.txt")
    backend = "auto" if path.suffix == ".onnx" else "torch"
    worker = served(path, tmp_path / "served", about, backend=backend, **(case.spec or {}))
    extra = {"labels": b"a cat,a dog"} if case.task.startswith("zero-shot") else {}
    [answer] = worker.json({**ROWS[0], "body": encoded(IMAGE), **extra})
    ours, theirs = case.read(answer), library()
    assert alike(ours, theirs), (ours, theirs)
    text = PAGE.read_text(encoding="utf-8")
    start = row_of(case, "", "").partition("|  |")[0]
    [line] = [line for line in text.splitlines() if line.startswith(start)] or [""]
    if os.environ.get("FORMATS_PAGE"):
        PAGE.write_text(
            text.replace(line, row_of(case, ours, theirs)) if line else text + row_of(case, ours, theirs) + "\n"
        )
        return
    shown = [part.strip() for part in line.split("|")[4:6]]
    assert alike(shown[0], ours), (line, ours)
    assert alike(shown[1], f"{theirs} ({case.library})"), (line, theirs)
