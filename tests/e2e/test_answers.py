"""Every task over both protocols: what the server answers equals the model called in Python."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import silero_vad
import torch
import torchvision
from pycocotools import mask as coco_mask
from safetensors.torch import load_file
from torch import nn
from torchvision.transforms.functional import pil_to_tensor
from transformers import (
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForAudioClassification,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from tests import tiny_networks
from tests.e2e.conftest import Predict
from tests.inputs import IMAGES, OBSERVATIONS, RATE, TEXTS, encoded, noise, recording
from tests.recordings import sentences
from tests.tiny_artifacts import NO_WEIGHTS, TRANSFORM

MODELS = torchvision.models
TENSORS = [pil_to_tensor(image) for image in IMAGES]
pytestmark = pytest.mark.usefixtures("no_gradients")


@pytest.fixture(autouse=True)
def no_gradients() -> Any:
    with torch.inference_mode():
        yield


@pytest.fixture
def artifact(tiny_archive: Callable[[str], Path]) -> Callable[[str], Path]:
    """Name of a tiny model → the artifact folder its archive was built from."""
    return lambda name: tiny_archive(name).parents[1] / name / "artifact"


def weights_in(model: nn.Module, artifact: Path) -> nn.Module:
    model.load_state_dict(load_file(artifact / "weights.safetensors"))
    return model.eval()


def by_index(answer: dict[str, Any]) -> list[float]:
    return [p["probability"] for p in sorted(answer["predictions"], key=lambda p: p["index"])]


def test_image_classification(client: Predict, artifact: Callable[[str], Path]) -> None:
    model = weights_in(MODELS.mobilenet_v2(num_classes=3, width_mult=0.25), artifact("tiny-image"))
    for image, tensor in zip(IMAGES, TENSORS, strict=True):
        answer = client.predict("tiny-image", encoded(image)).json()
        expected = model(TRANSFORM(tensor)[None]).softmax(1)[0]
        np.testing.assert_allclose(by_index(answer), expected.numpy(), atol=1e-5)
        labels = [["cat", "dog", "bird"][i] for i in expected.argsort(descending=True)]
        assert [p["label"] for p in answer["predictions"]] == labels


def test_object_detection(client: Predict, artifact: Callable[[str], Path]) -> None:
    network = MODELS.detection.ssdlite320_mobilenet_v3_large
    model = weights_in(network(**NO_WEIGHTS, num_classes=3, detections_per_img=10), artifact("tiny-detection"))
    model.score_thresh = 0.0  # type: ignore[assignment] # as the spec's option
    for image, tensor in zip(IMAGES, TENSORS, strict=True):
        found = client.predict("tiny-detection", encoded(image)).json()["detections"]
        [expected] = model([tensor / 255])
        assert len(found) == 5  # max_detections of the spec
        np.testing.assert_allclose([d["score"] for d in found], expected["scores"][:5].numpy(), atol=1e-4)
        np.testing.assert_allclose([d["box"] for d in found], expected["boxes"][:5].numpy(), rtol=1e-3, atol=0.1)
        assert [d["index"] for d in found] == expected["labels"][:5].tolist()


def test_instance_segmentation(client: Predict, artifact: Callable[[str], Path]) -> None:
    model = weights_in(tiny_networks.mask_rcnn(3), artifact("tiny-instance"))
    answer = client.predict("tiny-instance", encoded(IMAGES[0])).json()
    [expected] = model([TENSORS[0] / 255])
    assert answer["size"] == [214, 320]
    scores = [segment["score"] for segment in answer["segments"]]
    np.testing.assert_allclose(scores, expected["scores"][: len(scores)].numpy(), atol=1e-4)
    for index, segment in enumerate(answer["segments"]):
        mask = coco_mask.decode(segment["rle"]).astype(bool)
        assert mask.sum() == segment["area"]
        assert (mask == (expected["masks"][index, 0] >= 0.5).numpy()).mean() > 0.999


def test_semantic_segmentation(client: Predict, artifact: Callable[[str], Path]) -> None:
    network = MODELS.segmentation.lraspp_mobilenet_v3_large
    model = weights_in(network(**NO_WEIGHTS, num_classes=3), artifact("tiny-semantic"))
    for image, tensor in zip(IMAGES, TENSORS, strict=True):
        answer = client.predict("tiny-semantic", encoded(image)).json()
        logits = model(TRANSFORM(tensor)[None])["out"]
        expected = nn.functional.interpolate(logits, tensor.shape[1:], mode="bilinear").argmax(1)[0].numpy()
        found = np.zeros_like(expected)
        for segment in answer["segments"]:
            found[coco_mask.decode(segment["rle"]).astype(bool)] = segment["index"]
        assert (found == expected).mean() > 0.999


def test_audio_classification(client: Predict, artifact: Callable[[str], Path]) -> None:
    model = torch.jit.load(artifact("tiny-audio") / "weights.pt")
    samples = noise(0.5, 0)
    answer = client.predict("tiny-audio", recording(samples)).json()
    expected = model(torch.from_numpy(samples)[None]).softmax(1)[0]
    np.testing.assert_allclose(by_index(answer), expected.numpy(), atol=1e-5)


def test_a_hugging_face_audio_classifier(client: Predict, artifact: Callable[[str], Path]) -> None:
    folder = artifact("tiny-commands") / "weights"
    extractor = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
    model = AutoModelForAudioClassification.from_pretrained(folder, local_files_only=True)
    samples = noise(0.7, 0)
    answer = client.predict("tiny-commands", recording(samples)).json()
    expected = model(**extractor(samples, sampling_rate=RATE, return_tensors="pt")).logits.softmax(1)[0]
    np.testing.assert_allclose(by_index(answer), expected.numpy(), atol=1e-4)


def test_audio_embedding(client: Predict, artifact: Callable[[str], Path]) -> None:
    folder = artifact("tiny-sound") / "weights"
    extractor = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, local_files_only=True)
    samples = noise(0.7, 0)
    answer = client.predict("tiny-sound", recording(samples)).json()
    states = model(**extractor(samples, sampling_rate=RATE, return_tensors="pt")).last_hidden_state
    expected = nn.functional.normalize(states.mean(1))[0]
    np.testing.assert_allclose(answer["embedding"], expected.numpy(), atol=1e-4)


def test_voice_activity(client: Predict) -> None:
    samples = np.concatenate([part for each in sentences() for part in (np.zeros(RATE, np.float32), each)])
    wanted = silero_vad.get_speech_timestamps(torch.from_numpy(samples), silero_vad.load_silero_vad())
    answer = client.predict("tiny-voice", recording(samples)).json()
    found = [(segment["start"], segment["end"]) for segment in answer["segments"]]
    np.testing.assert_allclose(found, [(s["start"] / RATE, s["end"] / RATE) for s in wanted], atol=1e-3)


def test_features_on_request(client: Predict) -> None:
    samples = noise(0.5, 0)
    answer = client.predict("tiny-audio", recording(samples), parameters={"features": "rms,chroma"}).json()
    wanted = librosa.feature.rms(y=samples, frame_length=400, hop_length=160)[0]
    np.testing.assert_allclose(answer["features"]["rms"], wanted, atol=1e-6)
    assert np.shape(answer["features"]["chroma"]) == (12, 51)


def test_text_classification(client: Predict, artifact: Callable[[str], Path]) -> None:
    folder = artifact("tiny-text") / "weights"
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True)
    for text in TEXTS:
        answer = client.predict("tiny-text", text).json()
        expected = model(**tokenizer(text, return_tensors="pt")).logits.softmax(1)[0]
        np.testing.assert_allclose(by_index(answer), expected.numpy(), atol=1e-5)


def test_a_discrete_policy(client: Predict, artifact: Callable[[str], Path]) -> None:
    model = torch.export.load(artifact("tiny-policy") / "weights.pt2").module()
    logits, values = model(torch.from_numpy(OBSERVATIONS))
    for row, observation in enumerate(OBSERVATIONS):
        answer = client.predict("tiny-policy", {"data": observation.tolist()}).json()
        np.testing.assert_allclose(answer["probabilities"], logits[row].softmax(0).numpy(), atol=1e-6)
        assert answer["value"] == pytest.approx(values[row].item(), abs=1e-6)
        assert answer["action"] == int(logits[row].argmax())


def test_a_continuous_policy(client: Predict, artifact: Callable[[str], Path]) -> None:
    model = torch.export.load(artifact("tiny-torque") / "weights.pt2").module()
    observation = [0.9, -0.9, 7.0]
    mean, std, value = model(torch.tensor([observation]))
    answer = client.predict("tiny-torque", json.dumps(observation), content_type="application/json").json()
    np.testing.assert_allclose(answer["mean"], mean[0].numpy(), atol=1e-6)
    np.testing.assert_allclose(answer["std"], std[0].numpy(), atol=1e-6)
    np.testing.assert_allclose(answer["action"], mean[0].clamp(-0.25, 0.25).numpy(), atol=1e-6)
    assert answer["value"] == pytest.approx(value.item(), abs=1e-5)


def test_a_q_network(client: Predict, artifact: Callable[[str], Path]) -> None:
    """Several observations in one request."""
    model = torch.export.load(artifact("tiny-values") / "weights.pt2").module()
    observations = [[0.5, -1.5], [-30.0, 2.0], [7.0, 7.0]]
    answers = client.predict("tiny-values", {"data": observations}).json()["predictions"]
    for answer, expected in zip(answers, model(torch.tensor(observations)), strict=True):
        np.testing.assert_allclose(answer["values"], expected.numpy(), rtol=1e-5, atol=1e-6)
        assert answer["action"] == int(expected.argmax())
        assert answer["value"] == max(answer["values"])
