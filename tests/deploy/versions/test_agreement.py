"""How far two answers agree, for each form that answers have."""

import json
from typing import Any

import numpy as np
import pytest
from pycocotools import mask

from client import Answer
from deploy.versions.rollout.agreement import agreement

SIZE = (20, 20)


def answer(value: Any) -> Answer:
    return Answer("application/json", json.dumps(value).encode())


def classes(*names: str) -> list[dict[str, Any]]:
    return [{"label": name, "index": 0, "probability": 0.5 / (place + 1)} for place, name in enumerate(names)]


def box(label: str, *sides: float) -> dict[str, Any]:
    return {"label": label, "index": 0, "score": 0.9, "box": list(sides)}


def segment(label: str, rows: int) -> dict[str, Any]:
    pixels = np.zeros(SIZE, np.uint8, order="F")
    pixels[:rows] = 1
    encoded = mask.encode(pixels)
    rle = {"size": list(SIZE), "counts": encoded["counts"].decode()}
    return {"label": label, "index": 0, "rle": rle, "area": rows * SIZE[1]}


@pytest.mark.parametrize(("old", "new", "wanted"), [
    ({"predictions": classes("a", "b")}, {"predictions": classes("a", "c")}, 1.0),
    ({"predictions": classes("a", "b")}, {"predictions": classes("b", "a")}, 0.0),
    ({"predictions": [{"predictions": classes("a")}, {"predictions": classes("b")}]},
     {"predictions": [{"predictions": classes("a")}, {"predictions": classes("c")}]}, 0.5),
    ({"tasks": {"colour": classes("a"), "form": classes("b")}},
     {"tasks": {"colour": classes("a"), "form": classes("c")}}, 0.5),
    ({"detections": [box("a", 0, 0, 10, 10)]}, {"detections": [box("a", 0, 0, 10, 8)]}, 0.8),
    ({"detections": [box("a", 0, 0, 10, 10)]}, {"detections": [box("b", 0, 0, 10, 10)]}, 0.0),
    ({"detections": [box("a", 0, 0, 10, 10)]}, {"detections": [box("a", 9, 9, 19, 19)]}, 0.0),
    ({"detections": [box("a", 0, 0, 10, 10)]}, {"detections": [box("a", 0, 0, 10, 10), box("a", 1, 0, 11, 10)]}, 2 / 3),
    ({"detections": []}, {"detections": [box("a", 0, 0, 1, 1)]}, 0.0),
    ({"size": SIZE, "segments": [segment("a", 10)]}, {"size": SIZE, "segments": [segment("a", 8)]}, 0.8),
    ({"segments": [{"start": 0.0, "end": 2.0}]}, {"segments": [{"start": 0.5, "end": 2.0}]}, 0.75),
    ({"entities": [{"label": "P", "text": "x", "start": 0, "end": 4}]},
     {"entities": [{"label": "P", "text": "x", "start": 0, "end": 4},
                   {"label": "Q", "text": "y", "start": 5, "end": 6}]}, 2 / 3),
    ({"answers": [{"text": "x", "score": 0.1}]}, {"answers": [{"text": "x", "score": 0.9}]}, 1.0),
    ({"embedding": [1.0, 0.0]}, {"embedding": [1.0, 1.0]}, 0.5**0.5),
    ({"embedding": [1.0, 0.0]}, {"embedding": [-1.0, 0.0]}, 0.0),
    ({"embedding": [1.0, 0.0]}, {"embedding": [1.0, 0.0, 0.0]}, 0.0),
    ({"text": "a", "seconds": 1.0}, {"text": "a", "seconds": 1.1}, 1.0),
    ({"action": 1, "label": "left", "value": 0.1}, {"action": 1, "label": "right", "value": 0.1}, 0.0),
    ({"action": 1, "value": 0.1}, {"action": 1, "value": 0.3}, 1.0),
    ({"action": [1.0, 1.0]}, {"action": [1.0, 1.1]}, 1 - 0.1 / (2**0.5 + 2.21**0.5)),
    ({"mean": 1.0}, {"mean": 1.1}, 0.0),
    ({"predictions": classes("a")}, {"text": "a"}, 0.0),
    ({"predictions": []}, {"predictions": classes("a")}, 0.0),
    ([1, 2], [1, 2, 3], 0.0),
])  # fmt: skip
def test_agreement(old: Any, new: Any, wanted: float) -> None:
    assert agreement(answer(old), answer(new)) == pytest.approx(wanted, abs=1e-6)
    assert agreement(answer(new), answer(old)) == pytest.approx(wanted, abs=1e-6)
    assert agreement(answer(old), answer(old)) == 1.0


def test_bytes_that_are_not_json_agree_where_they_are_equal() -> None:
    image = Answer("image/png", b"\x89PNG")
    assert agreement(image, image) == 1.0
    assert agreement(image, Answer("image/png", b"\x89PNG2")) == 0.0
    assert agreement(image, answer({"text": "a"})) == 0.0
