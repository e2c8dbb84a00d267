"""Detectors as ONNX files of each layout: the same boxes as ONNX Runtime called by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import orjson
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from torch.nn import functional as F

from archiver.new.kinds import Options
from handlers.vision.detectors.letterbox import Letterbox
from tests.closeness import assert_close
from tests.handlers.worker import Worker
from tests.inputs import IMAGES, encoded
from tests.new_models import new, served
from tests.tiny_exports import BEST, NAMES, SIDE, EndToEnd, Grid, Separate, as_ultralytics, to_onnx

ROWS: list[dict[str, Any]] = [{"body": encoded(image), "content-type": b"image/png"} for image in IMAGES]
BROKEN = {"body": ROWS[0]["body"][:400], "content-type": b"image/png"}


FILES: dict[str, tuple[nn.Module, list[str], bool]] = {
    "yolov8": (Grid(), ["output0"], True),
    "yolov5": (Grid(objectness=True), ["output0"], False),
    "end-to-end": (EndToEnd(numbered=False), ["output0"], True),
    "numbered-rows": (EndToEnd(numbered=True), ["output0"], True),
    "separate": (Separate(), ["labels", "boxes", "scores"], True),
}


def export(name: str, path: Path) -> Path:
    network, outputs, dynamic = FILES[name]
    fixed: dict[str, Any] = {} if dynamic else {"dynamic_axes": {}}
    axis = "rows" if name == "numbered-rows" else "batch"
    return as_ultralytics(to_onnx(network, path, SIDE, outputs, axis, **fixed))


def by_hand(path: Path, name: str, image: Image.Image) -> list[tuple[NDArray[np.float32], int, float]]:
    """(box, class, score), best first: ONNX Runtime on one image, with a letterbox and a suppression of our own."""
    scale = SIDE / max(image.size)
    wide, tall = round(image.width * scale), round(image.height * scale)
    left, top = (SIDE - wide) // 2, (SIDE - tall) // 2
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()
    small = F.interpolate(pixels, (tall, wide), mode="bilinear", align_corners=False).round()
    canvas = F.pad(small, (left, SIDE - wide - left, top, SIDE - tall - top), value=114.0) / 255
    outputs = onnxruntime.InferenceSession(path).run(None, {"images": canvas.numpy()})
    rows = candidates(name, outputs)
    rows.sort(key=lambda row: -row[2])
    if name in ("yolov8", "yolov5"):
        rows = suppressed(rows)
    limit = np.array([image.width, image.height] * 2)
    return [
        (np.clip((box - [left, top, left, top]) / scale, 0, limit).astype(np.float32), index, score)
        for box, index, score in rows
    ]


def candidates(name: str, outputs: list[Any]) -> list[tuple[NDArray[np.float32], int, float]]:
    found = outputs[0][0] if outputs[0].ndim == 3 else outputs[0]
    match name:
        case "yolov8" | "yolov5":
            grid = found.T if name == "yolov8" else found
            scores = grid[:, 4:] if name == "yolov8" else grid[:, 5:] * grid[:, 4:5]
            corners = np.concatenate([grid[:, :2] - grid[:, 2:4] / 2, grid[:, :2] + grid[:, 2:4] / 2], 1)
            return list(zip(corners, scores.argmax(1).tolist(), scores.max(1).tolist(), strict=True))
        case "end-to-end":
            return [(row[:4], int(row[5]), float(row[4])) for row in found]
        case "numbered-rows":
            return [(row[1:5], int(row[5]), float(row[6])) for row in found]
        case _:
            labels, boxes, scores = (output[0] for output in outputs)
            return list(zip(boxes, labels.tolist(), scores.tolist(), strict=True))


def suppressed(rows: list[tuple[NDArray[np.float32], int, float]]) -> list[tuple[NDArray[np.float32], int, float]]:
    kept: list[tuple[NDArray[np.float32], int, float]] = []
    for row in rows:
        if all(row[1] != other[1] or overlap(row[0], other[0]) <= 0.7 for other in kept):
            kept.append(row)
    return kept


def overlap(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    sides = np.clip(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None)
    areas = [float(np.prod(box[2:] - box[:2])) for box in (one, other)]
    shared = float(np.prod(sides))
    return shared / (sum(areas) - shared)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made: dict[str, tuple[Path, Worker]] = {}

    def get(name: str) -> tuple[Path, Worker]:
        if name not in made:
            root = tmp_path_factory.mktemp(name)
            path = export(name, root / "model.onnx")
            options = {"score_threshold": 0.0, "max_detections": 300}
            made[name] = path, served(path, root / name, backend="auto", options=options)
        return made[name]

    return get


@pytest.mark.parametrize("name", FILES)
def test_boxes_as_by_hand(model: Any, name: str) -> None:
    """Images of the model's own scale, whose pixels stay what they are, so that nothing is rounded."""
    path, worker = model(name)
    images = [image.resize(size) for image, size in zip(IMAGES, [(64, 42), (50, 64), (64, 64)], strict=True)]
    rows = [{"body": encoded(image), "content-type": b"image/png"} for image in images]
    for image, answer in zip(images, worker.json(*rows), strict=True):
        wanted = by_hand(path, name, image)
        got = answer["detections"]
        assert len(got) == len(wanted) >= BEST
        for found, (box, index, score) in zip(got, wanted, strict=True):
            assert (found["index"], found["label"]) == (index, NAMES[index])
            assert found["score"] == pytest.approx(score, abs=1e-5)
            np.testing.assert_allclose(found["box"], box, atol=1e-3)


@pytest.mark.parametrize("name", FILES)
def test_boxes_of_larger_images_as_by_hand(model: Any, name: str) -> None:
    """A resize rounds levels in one way or another, and boxes of nearly equal scores then change places."""
    path, worker = model(name)
    for image, answer in zip(IMAGES, worker.json(*ROWS), strict=True):
        wanted = by_hand(path, name, image)
        found = [(d["index"], d["score"], np.array(d["box"])) for d in answer["detections"]]
        same = [
            any(i == index and abs(s - score) < 0.01 and np.abs(b - box).max() < 3 for i, s, b in found)
            for box, index, score in wanted
        ]
        assert np.mean(same) >= 0.9


@pytest.mark.parametrize("name", FILES)
def test_a_batch_equals_its_images_alone(model: Any, name: str) -> None:
    _, worker = model(name)
    alone = [worker.json(row)[0] for row in ROWS]
    answers = worker.answer([ROWS[0], BROKEN, *ROWS[1:]])
    status, _, body = answers.pop(1)
    assert (status, orjson.loads(body)["type"]) == (400, "MalformedInput")
    for (code, _, answer), single in zip(answers, alone, strict=True):
        assert code == 200
        assert_close(orjson.loads(answer), single)


def test_torchscript_of_the_same_layout(tmp_path: Path) -> None:
    network = Grid().eval()
    torch.jit.trace(network, torch.zeros(1, 3, SIDE, SIDE)).save(tmp_path / "model.torchscript")
    (tmp_path / "labels.txt").write_text("\n".join(NAMES))
    output = {"layout": "grid", "nms": True}
    worker = served(
        tmp_path / "model.torchscript",
        tmp_path / "script",
        Options(task="object-detection"),
        preprocessing={"size": [SIDE, SIDE], "output": output},
        options={"score_threshold": 0.0, "max_detections": 300},
    )
    wanted = by_hand(export("yolov8", tmp_path / "model.onnx"), "yolov8", IMAGES[0])
    [answer] = worker.json(ROWS[0])
    assert len(answer["detections"]) == len(wanted)
    np.testing.assert_allclose(answer["detections"][0]["score"], wanted[0][2], atol=1e-3)


def test_a_layout_that_does_not_fit_is_named(tmp_path: Path) -> None:
    path = export("yolov8", tmp_path / "model.onnx")
    preprocessing = {"size": [SIDE, SIDE], "output": {"layout": "grid", "objectness": True, "nms": True}}
    with pytest.raises(ValueError, match=r"its output is \[1, 7, 64\]; wanted 8 columns"):
        served(path, tmp_path / "wrong", backend="auto", preprocessing=preprocessing)


def test_the_spec_names_what_was_assumed(tmp_path: Path) -> None:
    text = new(export("yolov5", tmp_path / "model.onnx"), tmp_path / "named", backend="auto").read_text()
    for part in ("objectness: true", "layout: grid", "nms: true", "task: object-detection", "labels: named.labels.txt"):
        assert part in text


def test_boxes_go_back_where_they_came_from() -> None:
    for height, width in ((30, 50), (640, 20), (64, 64), (7, 333)):
        for fit in ("letterbox", "stretch"):
            letterbox = Letterbox((64, 96), fit=fit)
            _, place = letterbox(torch.zeros(3, height, width, dtype=torch.uint8))
            box = torch.tensor([[1.0, 2.0, width - 1.0, height - 1.0]])
            there = box * torch.tensor([place.x_scale, place.y_scale] * 2) + torch.tensor([place.left, place.top] * 2)
            torch.testing.assert_close(place.back(there), box, atol=1e-4, rtol=0)
