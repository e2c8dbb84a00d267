"""The further tasks of images, and ONNX files, over both protocols: the answers of the same model called in Python."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F
from torchvision.models import mobilenet_v2
from torchvision.transforms.functional import pil_to_tensor
from transformers import pipeline

from client import ClientError, InvalidInput
from handlers.vision.transform import ImageTransform
from tests import tiny_networks
from tests.e2e.conftest import Predict
from tests.handlers.vision.detectors.test_exported_detectors import by_hand
from tests.inputs import IMAGES, encoded
from tests.tiny_artifacts import TRANSFORM
from tests.tiny_exports import SIDE

Artifact = Callable[[str], Path]


@pytest.fixture
def artifact(tiny_archive: Callable[[str], Path]) -> Artifact:
    """Name of a tiny model → the artifact folder its archive was built from."""
    return lambda name: tiny_archive(name).parents[1] / name / "artifact"


@pytest.fixture(autouse=True)
def _no_gradients() -> Any:
    with torch.inference_mode():
        yield


def test_several_labels(client: Predict, artifact: Artifact) -> None:
    network = mobilenet_v2(num_classes=4, width_mult=0.25)
    network.load_state_dict(load_file(artifact("tiny-labels") / "weights.safetensors"))
    for image in IMAGES:
        answer = client.predict("tiny-labels", encoded(image), parameters={"threshold": 0.5}).json()
        expected = network.eval()(TRANSFORM(pil_to_tensor(image))[None]).sigmoid()[0]
        found = {each["index"]: each["probability"] for each in answer["predictions"]}
        np.testing.assert_allclose([found[index] for index in range(4)], expected.numpy(), atol=1e-4)
        assert len(answer["labels"]) == int((expected >= 0.5).sum())


def test_an_embedding(client: Predict, artifact: Artifact) -> None:
    extract = pipeline("image-feature-extraction", model=str(artifact("tiny-vector") / "weights"), pool=True)
    for image in IMAGES:
        expected = np.ravel(extract(image))
        found = client.predict("tiny-vector", encoded(image)).json()["embedding"]
        np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-4)


def test_labels_in_the_request(client: Predict, artifact: Artifact) -> None:
    classify: Any = pipeline("zero-shot-image-classification", model=str(artifact("tiny-zero-shot") / "weights"))
    labels = ["a cat", "a dog", "Zürich"]
    body = {"image": base64.b64encode(encoded(IMAGES[0])).decode(), "labels": labels}
    expected = {each["label"]: each["score"] for each in classify(IMAGES[0], candidate_labels=labels)}
    found = client.predict("tiny-zero-shot", body).json()["predictions"]
    assert {each["label"]: each["probability"] for each in found} == pytest.approx(expected, abs=1e-3)
    as_parameter = client.predict("tiny-zero-shot", encoded(IMAGES[0]), parameters={"labels": "a cat,a dog,Zürich"})
    assert as_parameter.json()["predictions"] == found
    own = client.predict("tiny-zero-shot", encoded(IMAGES[0])).json()["predictions"]
    assert {each["label"] for each in own} == {"a temple", "a flower", "a street"}
    with pytest.raises(InvalidInput, match="the list is empty"):
        client.predict("tiny-zero-shot", {**body, "labels": []})


def test_depth(client: Predict, artifact: Artifact) -> None:
    estimate = pipeline("depth-estimation", model=str(artifact("tiny-depth") / "weights"))
    for image in IMAGES:
        answer = client.predict("tiny-depth", encoded(image)).json()
        expected = estimate(image)["predicted_depth"].numpy()
        assert answer["size"] == [image.height, image.width]
        got = [answer["minimum"], answer["maximum"], answer["mean"]]
        np.testing.assert_allclose(got, [expected.min(), expected.max(), expected.mean()], atol=1e-2)
    png = client.predict("tiny-depth", encoded(IMAGES[0]), accept="image/png")
    assert (png.content_type, png.body[:4]) == ("image/png", b"\x89PNG")


def test_keypoints(client: Predict, artifact: Artifact) -> None:
    model = tiny_networks.keypoint_rcnn(2, 4)
    model.load_state_dict(load_file(artifact("tiny-keypoints") / "weights.safetensors"))
    for image in IMAGES:
        found = client.predict("tiny-keypoints", encoded(image)).json()["detections"]
        [expected] = model.eval()([pil_to_tensor(image) / 255])
        assert len(found) == len(expected["scores"]) > 0
        np.testing.assert_allclose([d["score"] for d in found], expected["scores"].numpy(), atol=1e-4)
        points = [[[each["x"], each["y"]] for each in detection["keypoints"]] for detection in found]
        np.testing.assert_allclose(points, expected["keypoints"][..., :2].numpy(), rtol=1e-3, atol=1.0)


def test_an_exported_detector(client: Predict, artifact: Artifact) -> None:
    """As ONNX Runtime called by hand; the image is of the model's own scale, so that nothing is rounded."""
    image = IMAGES[1].resize((50, 64))
    expected = by_hand(artifact("tiny-yolo") / "weights.onnx", "yolov8", image)
    found = client.predict("tiny-yolo", encoded(image)).json()["detections"]
    assert [each["index"] for each in found] == [index for _, index, _ in expected]
    np.testing.assert_allclose([each["score"] for each in found], [score for _, _, score in expected], atol=1e-5)
    np.testing.assert_allclose([each["box"] for each in found], [box for box, _, _ in expected], atol=1e-3)
    for count in (1, 2, 7):
        few = client.predict("tiny-yolo", encoded(image), parameters={"max_detections": count}).json()["detections"]
        assert few == found[:count]


def test_an_exported_segmenter(client: Predict, artifact: Artifact) -> None:
    session = onnxruntime.InferenceSession(artifact("tiny-pixels") / "weights.onnx")
    transform = ImageTransform(resize=(SIDE, SIDE))
    for image in IMAGES:
        answer = client.predict("tiny-pixels", encoded(image)).json()
        [logits] = session.run(None, {"images": transform(pil_to_tensor(image))[None].numpy()})
        whole = F.interpolate(torch.from_numpy(logits), (image.height, image.width), mode="bilinear")
        counts = np.bincount(whole.argmax(1).flatten(), minlength=3)
        found = {segment["index"]: segment["area"] for segment in answer["segments"]}
        assert sum(abs(found.get(index, 0) - counts[index]) for index in range(3)) <= 20


@pytest.mark.parametrize("model", ["tiny-labels", "tiny-vector", "tiny-zero-shot", "tiny-depth", "tiny-keypoints"])
def test_what_is_broken_is_refused(client: Predict, model: str) -> None:
    for broken in (encoded(IMAGES[0])[:400], b"nothing of the kind"):
        with pytest.raises(ClientError) as refused:
            client.predict(model, broken)
        assert refused.value.code in (400, 415)
