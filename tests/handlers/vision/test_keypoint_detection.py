"""Keypoint detection: the same points as torchvision's own model with its own transform."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from PIL import Image
from torchvision.models import get_model_weights
from torchvision.transforms.functional import pil_to_tensor

from archiver.errors import SpecError
from handlers.artifact import LoadError
from tests import tiny_networks
from tests.handlers.vision.served import PROJECT, ROWS, check_isolation, served
from tests.handlers.worker import Worker
from tests.inputs import IMAGES
from tests.tiny_vision import photograph
from train.core.artifact import Artifact
from train.export.torchvision import Pretrained

NAMES = ["head", "left", "right", "foot"]
SKELETON = [[0, 1], [0, 2], [1, 3]]
CODE: dict[str, Any] = {"code": [str(PROJECT / "tests" / "tiny_networks.py")]}
OPTIONS = {"score_threshold": 0.0, "max_detections": 5}


def artifact(folder: Path, **preprocessing: Any) -> Path:
    torch.manual_seed(0)
    return Artifact(
        name=folder.name,
        task="keypoint-detection",
        format="safetensors",
        labels=["__background__", "person"],
        architecture={"factory": "tiny_networks.keypoint_rcnn", "arguments": {"classes": 2, "keypoints": 4}},
        preprocessing={"keypoints": NAMES, "skeleton": SKELETON, **preprocessing},
    ).write(folder, tiny_networks.keypoint_rcnn(2, 4).state_dict(), photograph(folder))


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Worker:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("keypoints") / "people"
    return served(artifact(folder), options=OPTIONS, **CODE)


@torch.inference_mode()
def test_the_points_of_torchvision(worker: Worker) -> None:
    torch.manual_seed(0)
    model = tiny_networks.keypoint_rcnn(2, 4).eval()
    for sent, answer in zip(IMAGES, worker.json(*ROWS), strict=True):
        [expected] = model([pil_to_tensor(sent) / 255])
        found = answer["detections"]
        assert len(found) == len(expected["scores"]) > 0
        np.testing.assert_allclose([d["box"] for d in found], expected["boxes"].numpy(), rtol=1e-3, atol=0.1)
        np.testing.assert_allclose([d["score"] for d in found], expected["scores"].numpy(), atol=1e-4)
        for detection, points, scores in zip(found, expected["keypoints"], expected["keypoints_scores"], strict=True):
            assert [each["name"] for each in detection["keypoints"]] == NAMES
            got = [[each["x"], each["y"]] for each in detection["keypoints"]]
            np.testing.assert_allclose(got, points[:, :2].numpy(), rtol=1e-3, atol=1.0)
            np.testing.assert_allclose([e["score"] for e in detection["keypoints"]], scores.numpy(), rtol=1e-2)


def test_a_batch_equals_its_items_alone(worker: Worker) -> None:
    check_isolation(worker)


def test_thresholds_are_the_requests(worker: Worker) -> None:
    [all_of_them] = worker.json(ROWS[0])
    [few] = worker.json({**ROWS[0], "max_detections": b"2"})
    assert few["detections"] == all_of_them["detections"][:2]
    [none] = worker.json({**ROWS[0], "score_threshold": b"1"})
    assert none == {"detections": []}
    [(status, _, body)] = worker.answer([{**ROWS[0], "score_threshold": b"2"}])
    assert (status, orjson.loads(body)["type"]) == (422, "InvalidInput")


def test_points_and_lines_on_request(worker: Worker) -> None:
    [(status, kind, body)] = worker.answer([{**ROWS[0], "accept": b"image/png", "max_detections": b"1"}])
    assert (status, kind) == (200, "image/png")
    drawn = np.asarray(Image.open(io.BytesIO(body)))
    assert drawn.shape == (214, 320, 3)
    [answer] = worker.json({**ROWS[0], "max_detections": b"1"})
    for point in answer["detections"][0]["keypoints"]:
        x, y = round(point["x"]), round(point["y"])
        if 1 < x < 318 and 1 < y < 212:
            assert not np.array_equal(drawn[y, x], np.asarray(IMAGES[0])[y, x])
    [(status, kind, empty)] = worker.answer([{**ROWS[0], "accept": b"image/png", "score_threshold": b"1"}])
    assert (status, kind) == (200, "image/png")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(empty))), np.asarray(IMAGES[0]))


def test_names_that_are_not_the_models(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="the model has 4 keypoints; the artifact names 3"):
        served(artifact(tmp_path / "a", keypoints=NAMES[:3], skeleton=[]), options=OPTIONS, **CODE)
    with pytest.raises(SpecError, match=r"preprocessing\.skeleton\[0\]\[1\]: wanted a whole number from 0 to 3; got 4"):
        served(artifact(tmp_path / "b", skeleton=[[0, 4]]), options=OPTIONS, **CODE)


def test_names_and_lines_of_published_weights() -> None:
    weights = get_model_weights("keypointrcnn_resnet50_fpn").COCO_V1
    experiment = Pretrained(
        name="people", system="pretrained", task="keypoint-detection", model="keypointrcnn_resnet50_fpn"
    )
    found = experiment.preprocessing(weights)
    assert found["keypoints"] == weights.meta["keypoint_names"]
    lines = {tuple(found["keypoints"][index] for index in pair) for pair in found["skeleton"]}
    assert {("left_shoulder", "left_elbow"), ("right_ankle", "right_knee")} <= lines
