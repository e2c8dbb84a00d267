"""Explanations of detections: the score that is explained is the one that the detector gave."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
import torch
from torchvision.models import detection

from archiver.verification.explanation_schemas import check
from handlers.explanation.detection_scores import TorchvisionScores
from handlers.protocol.request import parse
from tests import tiny_networks
from tests.handlers.worker import Worker
from tests.inputs import IMAGES, encoded

ROW = {"body": encoded(IMAGES[0]), "score_threshold": b"0"}
NO_WEIGHTS = {"weights": None, "weights_backbone": None, "num_classes": 3, "score_thresh": 0.0}
ONE_STAGE = {
    "ssdlite320_mobilenet_v3_large": {},
    "retinanet_resnet50_fpn": {"min_size": 64, "max_size": 96},
    "fcos_resnet50_fpn": {"min_size": 64, "max_size": 96},
}


@pytest.mark.parametrize("name", ONE_STAGE)
def test_the_candidate_of_a_one_stage_detection_has_its_score(name: str) -> None:
    torch.manual_seed(0)
    model = getattr(detection, name)(**NO_WEIGHTS, **ONE_STAGE[name]).eval()
    scores = TorchvisionScores(model)
    image = torch.rand(3, 80, 96)
    with torch.no_grad():
        [found] = model([image])
        inputs, (height, width) = scores.inputs(image)
        scale = torch.tensor([width / 96, height / 80]).repeat(2)
        for place in range(3):
            label, score = int(found["labels"][place]), float(found["scores"][place])
            candidates = scores.candidates(inputs, label)
            nearest = candidates.nearest(found["boxes"][place] * scale, score)
            assert float(candidates.scores[nearest]) == pytest.approx(score, abs=1e-4)


def test_the_region_of_a_two_stage_detection_has_its_class() -> None:
    torch.manual_seed(0)
    model = tiny_networks.mask_rcnn(3).eval()
    scores = TorchvisionScores(model)
    image = torch.rand(3, 64, 96)
    with torch.no_grad():
        inputs, _ = scores.inputs(image)
        box = torch.tensor([8.0, 8.0, 60.0, 50.0])
        features = scores.features(inputs)
        pooled = model.roi_heads.box_roi_pool(features, [box[None]], [tuple(inputs.shape[-2:])])
        expected = model.roi_heads.box_predictor(model.roi_heads.box_head(pooled))[0][0]
        for target in range(3):
            assert float(scores.of(inputs, box, 1, 0.5, target)(inputs)) == pytest.approx(float(expected[target]))


@pytest.fixture(scope="module")
def worker(explainer: Callable[[str], Worker]) -> Worker:
    return explainer("tiny-detection")


def ask(worker: Worker, **parameters: bytes) -> dict[str, Any]:
    [answer] = worker.json({**ROW, **parameters})
    assert not check("object-detection", answer, worker.handler.labels, "the answer")
    return answer


def test_a_request_chooses_the_detection(worker: Worker) -> None:
    task = worker.handler.task
    request = parse(ROW, {"content-type": "image/png"}, task.input_type, worker.handler.request_limits)
    with torch.inference_mode():
        [found] = task.predict([task.decode(request.payloads[0])])
    for place in (0, 3):
        answer = ask(worker, method=b"saliency", detection=str(place).encode())
        assert (answer["detection"], answer["target"]["index"]) == (place, int(found["labels"][place]))
        assert answer["box"] == pytest.approx([0, 0, *IMAGES[0].size])
    other = ask(worker, method=b"saliency", target=b"circle")
    assert other["target"]["label"] == "circle"


def test_integrated_gradients_sum_to_the_difference_of_the_logits(worker: Worker) -> None:
    complete = ask(worker, n_steps=b"8")["completeness"]
    assert complete["delta"] == pytest.approx(complete["sum"] - complete["score"] + complete["baseline"], abs=1e-5)


def test_a_detection_that_is_not_there_is_answered_with_422(worker: Worker) -> None:
    [(status, _, body)] = worker.answer(
        [{**ROW, "detection": b"900", "score_threshold": b"0.9", "method": b"saliency"}]
    )
    assert status == 422
    assert orjson.loads(body)["message"].startswith("detection: got 900; the image has ")
