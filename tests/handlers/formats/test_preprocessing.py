"""The form of `preprocessing`: what is right stays right, and nothing else gets through or ends in a traceback."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch

from handlers.formats.configuration import MAX_SIDE
from handlers.formats.preprocessing import images
from handlers.formats.preprocessing.form import FORMS, faults_of
from handlers.policy.policy import LARGEST, bounds
from handlers.vision.depth_transform import DepthTransform
from handlers.vision.detectors.letterbox import Letterbox
from handlers.vision.detectors.output_layout import OutputLayout
from handlers.vision.image_classification import ACTIVATIONS
from handlers.vision.transform import ImageTransform
from handlers.vision.views import Views

LABELS = ["a", "b"]
TRANSFORM = json.loads(json.dumps(ImageTransform(resize=40, crop=(32, 32), floor=True).to_dict()))
OUTPUT = {
    "layout": "rows",
    "boxes": "xyxy",
    "unit": "pixels",
    "objectness": False,
    "activation": "none",
    "nms": True,
    "iou_threshold": 0.5,
    "transposed": None,
    "columns": ["x1", "y1", "x2", "y2", "score", "class", "batch"],
    "no_object": None,
}
SEPARATE = {"layout": "separate", "boxes": "xyxy", "names": {"boxes": "b", "scores": "s", "labels": "l"}}
LETTERBOX = {"size": [32, 48], "fit": "letterbox", "align": "centre", "fill": 114, "channels": "BGR"}
SPACE = {"shape": [2, 2], "low": [[0, None], [0.5, -1]], "high": [[1, 2], [None, 1]]}
# (task, format, preprocessing): every key that a task has, in some of them.
RIGHT: list[tuple[str, str, dict[str, Any]]] = [
    ("image-classification", "safetensors", {"resize": [32, 32]}),
    ("image-classification", "safetensors", {**TRANSFORM, "embedding": "flatten", "multi_label": True}),
    ("image-classification", "onnx", {**TRANSFORM, "tasks": {"t": ["a"], "u": ["b"]}, "activation": "sigmoid"}),
    ("image-classification", "safetensors", {"members": [TRANSFORM, {"resize": [8, 8]}], "embedding": None}),
    ("image-classification", "huggingface", {"activation": None}),
    ("image-embedding", "safetensors", {**TRANSFORM, "embedding": "flatten"}),
    ("zero-shot-image-classification", "huggingface", TRANSFORM),
    ("semantic-segmentation", "safetensors", {**TRANSFORM, "background": 1}),
    ("semantic-segmentation", "huggingface", {"background": None}),
    ("depth-estimation", "huggingface", {"kind": "metric", "nearer": "lower", "size": None, "multiple": 14}),
    (
        "depth-estimation",
        "safetensors",
        {**DepthTransform((32, 32)).to_dict(), "kind": "relative", "nearer": "higher"},
    ),
    ("object-detection", "safetensors", {}),
    ("object-detection", "onnx", {**LETTERBOX, "output": OUTPUT}),
    ("object-detection", "torchscript", {"size": [32, 32], "output": SEPARATE}),
    ("instance-segmentation", "safetensors", {}),
    ("keypoint-detection", "safetensors", {"keypoints": ["a", "b"], "skeleton": [[0, 1]]}),
    ("audio-classification", "safetensors", {"sample_rate": 16_000, "seconds": 0.5, "front_end": ["trim"]}),
    ("audio-embedding", "huggingface", {"sample_rate": 8_000, "seconds": 1}),
    ("speech-recognition", "huggingface", {"sample_rate": 16_000, "seconds": 30}),
    ("voice-activity", "torchscript", {"sample_rate": 16_000, "frame": 512, "front_end": []}),
    ("text-classification", "huggingface", {"max_length": 256}),
    ("policy", "torch-export", {"observation": SPACE, "action": {"kind": "discrete", "count": 2}}),
    (
        "policy",
        "torch-export",
        {
            "observation": {"shape": [3], "low": None},
            "action": {"kind": "continuous", "low": [-1, None], "high": [1, 2]},
        },
    ),
    ("edge-detection", "safetensors", {"of one's own": {"anything": float("nan")}}),
]
WRONG: list[Any] = [
    None, True, "x", "", 0, -1, 1.5, 1e12, 10**5000, float("nan"), float("inf"), -float("inf"), [], {}, [0], [1e9],
    [[1], [2, 3]], ["x", 1], {"x": {}}, {"\x1b[2J" * 99: 1}, [None] * 3, [10**6, 10**6], [0.0, 0.0, 0.0],
    [[[[[[[[[[1]]]]]]]]]], "\x1b[2J" * 99,
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    for key, element in inner:
        yield (*path, key)
        yield from places(element, (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    value = json.loads(json.dumps(value))
    inside = value
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = deepcopy(new)
    return value


def use(task: str, values: dict[str, Any]) -> None:
    """Make of an accepted preprocessing what the handler makes of it, and run it on an image of 20 x 30."""
    values, image = dict(values), torch.zeros(3, 20, 30, dtype=torch.uint8)
    for key in ("tasks", "multi_label", "activation", "background", "kind", "nearer", "embedding"):
        values.pop(key, None)
    if "members" in values:
        assert Views.from_dict(values).geometry(image).ndim == 2
    elif "output" in values:
        OutputLayout.from_dict(values.pop("output"))
        assert torch.isfinite(Letterbox.from_dict(values)(image)[0]).all()
    elif task == "depth-estimation":
        assert max(DepthTransform.from_dict(values).resized(20, 30)) <= 2 * MAX_SIDE
    elif "resize" in values:
        assert torch.isfinite(ImageTransform.from_dict(values)(image)).all()
    elif task == "policy":
        space = values["observation"]
        low = bounds(space.get("low"), tuple(space["shape"]), -LARGEST)
        assert low.shape == tuple(space["shape"])
        assert np.isfinite(low).all()


@pytest.mark.parametrize(("task", "weights_format", "values"), RIGHT)
def test_what_is_right_is_accepted(task: str, weights_format: str, values: dict[str, Any]) -> None:
    assert faults_of(task, weights_format, values, LABELS) == []
    use(task, values)


@pytest.mark.parametrize(("task", "weights_format", "values"), RIGHT[:-1])
def test_no_value_anywhere_breaks_it(task: str, weights_format: str, values: dict[str, Any]) -> None:
    """Every value in turn becomes every wrong one: a fault in one line names its key, or the handler takes it."""
    refused = 0
    for path in places(values):
        for new in WRONG:
            found = changed(values, path, new)
            faults = faults_of(task, weights_format, found, LABELS)
            refused += bool(faults)
            for where, what in faults:
                assert where.startswith("preprocessing")
                assert len(where) + len(what) < 400
                assert "\n" not in what
                assert "\x1b" not in where + what
            if not faults:
                use(task, found)
    for new in WRONG:
        faults_of(task, weights_format, new, LABELS)
        refused += bool(faults_of(task, weights_format, {**values, "unknown": new}, LABELS))
    assert refused >= len(WRONG)


@pytest.mark.parametrize(
    ("task", "change", "wanted"),
    [
        (
            "audio-classification",
            {"sample_rate": "abc"},
            "sample_rate: wanted a whole number from 1000 to 384000; got 'abc'",
        ),
        (
            "audio-classification",
            {"sample_rate": 1e12},
            "sample_rate: wanted a whole number from 1000 to 384000; got 1000000000000.0",
        ),
        (
            "audio-classification",
            {"sample_rate": None},
            "sample_rate: wanted a whole number from 1000 to 384000; got None",
        ),
        ("audio-classification", {"seconds": -1}, "seconds: wanted a number from 0.01 to 3600; got -1"),
        ("audio-classification", {"front_end": "trim"}, "front_end: wanted a list of 0 to 3; got 'trim'"),
        (
            "audio-classification",
            {"front_end": ["trin"]},
            "front_end[0]: wanted one of denoise, trim, normalise; got 'trin'",
        ),
        ("policy", {"observation": {"shape": "x"}}, "observation.shape: wanted a list of 0 to 8; got 'x'"),
        (
            "policy",
            {"observation": {"shape": [0]}},
            "observation.shape[0]: wanted a whole number from 1 to 4000000; got 0",
        ),
        (
            "policy",
            {"observation": {"shape": [4000, 4000]}},
            "observation.shape: wanted at most 4000000 numbers; got 16000000",
        ),
        (
            "policy",
            {"observation": {"shape": [1], "low": [1], "high": [0]}},
            "observation.low: wanted at most high, 0; got 1",
        ),
        ("policy", {"action": {"kind": "both"}}, "action.kind: wanted one of discrete, continuous; got 'both'"),
        ("policy", {"action": {}}, "action.kind: missing; docs/own-model.md lists what policy needs"),
        (
            "policy",
            {"action": {"kind": "discrete", "count": 3}},
            "action.count: wanted 2, as many as the artifact has labels; got 3",
        ),
        ("zero-shot-image-classification", {"std": [0, 1, 1]}, "std[0]: wanted a number from 1e-06 to 10000; got 0"),
        ("zero-shot-image-classification", {"mean": [0, 1]}, "mean: wanted a list of 3; got a list of 2"),
        (
            "zero-shot-image-classification",
            {"mean": [0, 1, float("nan")]},
            "mean[2]: wanted a number from -10000 to 10000; got nan",
        ),
        (
            "zero-shot-image-classification",
            {"resize": 0},
            "resize: wanted a whole number from 1 to 4096, or [height, width]; got 0",
        ),
        (
            "zero-shot-image-classification",
            {"crop": [10**6, 1]},
            "crop[0]: wanted a whole number from 1 to 4096; got 1000000",
        ),
        (
            "zero-shot-image-classification",
            {"resise": 3},
            "resise: unknown key; known keys: resize, crop, interpolation, floor, mean, std",
        ),
    ],
)
def test_a_fault_names_the_key_and_what_is_wanted(task: str, change: dict[str, Any], wanted: str) -> None:
    values = next(values for name, _, values in RIGHT if name == task)
    [(where, what)] = faults_of(task, "huggingface", {**values, **change}, LABELS)
    assert f"{where}: {what}" == f"preprocessing.{wanted}"


def test_facts_that_the_handlers_have_too() -> None:
    assert set(images.ACTIVATIONS) == set(ACTIVATIONS)


def test_every_task_of_the_project_has_a_form() -> None:
    from archiver.tasks import TASKS

    assert {"image-classification", "semantic-segmentation", "object-detection", "policy", *FORMS} == set(TASKS)
