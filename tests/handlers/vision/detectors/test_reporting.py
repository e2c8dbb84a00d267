"""Thresholds and numbers that go further than those a detector was built with."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models.detection import FCOS, RetinaNet
from transformers import pipeline

from handlers.networks.detection import mobilenet_v2_ssd
from handlers.vision.detectors.reporting import Reporting
from tests.handlers.networks.test_detector_trunk import PLAIN, one_stage
from tests.handlers.vision.served import PROJECT, ROWS
from tests.handlers.vision.served import served as served_artifact
from tests.inputs import IMAGES
from tests.new_models import served as served_folder
from tests.tiny_artifacts import NO_WEIGHTS, scaled_state
from tests.tiny_networks import mask_rcnn
from tests.tiny_transformers import NAMES, save, t
from tests.tiny_vision import photograph
from train.core.artifact import Artifact

SCENES = [torch.rand(3, 96, 128, generator=torch.Generator().manual_seed(seed)) for seed in range(2)]
DETECTORS: dict[str, Callable[[], nn.Module]] = {
    "ssd": partial(mobilenet_v2_ssd, 4, 96, 32),
    "ssdlite": partial(detection.ssdlite320_mobilenet_v3_large, **PLAIN),
    "retinanet": partial(one_stage, RetinaNet),
    "fcos": partial(one_stage, FCOS),
    "mask_rcnn": partial(mask_rcnn, 3),
}
LEAST, MOST = 0.02, 40


def limited(detector: nn.Module, threshold: float, number: int) -> nn.Module:
    """As if it had been built with these."""
    part: Any = getattr(detector, "roi_heads", detector)
    part.score_thresh, part.detections_per_img = threshold, number
    return detector


@torch.inference_mode()
def found_by(detector: nn.Module) -> list[dict[str, Tensor]]:
    outputs = detector(SCENES)
    found: list[dict[str, Tensor]] = outputs[1] if isinstance(outputs, tuple) else outputs
    return found


@pytest.mark.parametrize("name", DETECTORS)
def test_it_reports_what_is_asked_for(name: str) -> None:
    torch.manual_seed(0)
    detector = DETECTORS[name]().eval()
    with torch.no_grad():
        for weight in detector.parameters():
            if weight.ndim == 4:
                weight.mul_(1.5)  # scores from both sides of the threshold
        for key, bias in detector.named_parameters():
            if key.endswith("cls_logits.bias"):
                bias.zero_()  # RetinaNet and FCOS begin with scores of 0.01
    everything = found_by(limited(detector, 0.0, 1000))
    Reporting(limited(detector, 0.9, 3)).set(LEAST, MOST)
    for ours, all_of_them in zip(found_by(detector), everything, strict=True):
        kept = (all_of_them["scores"] >= LEAST).nonzero().flatten()[:MOST]
        assert len(kept) > 3
        assert set(ours) == set(all_of_them)
        for key, values in ours.items():
            torch.testing.assert_close(values, all_of_them[key][kept], atol=1e-4, rtol=1e-4)


def test_a_scripted_one() -> None:
    torch.manual_seed(0)
    scripted = torch.jit.script(limited(mask_rcnn(3).eval(), 0.9, 3))
    reporting = Reporting(scripted)
    assert reporting.number == 3
    reporting.set(0.0, 17)
    assert [len(found["scores"]) for found in found_by(scripted)] == [17, 17]


def test_a_model_that_has_no_such_limits() -> None:
    reporting = Reporting(nn.Linear(2, 2))
    reporting.set(0.0, 10)
    assert reporting.number is None


def test_spec_and_request_go_further_than_the_detector(tmp_path: Path) -> None:
    """A detector that was built to report three boxes from 0.9 on."""
    arguments = {**NO_WEIGHTS, "num_classes": 3, "score_thresh": 0.9, "detections_per_img": 3}
    artifact = Artifact(
        name="few",
        task="object-detection",
        format="safetensors",
        labels=["__background__", "circle", "square"],
        architecture={
            "factory": "torchvision.models.detection.ssdlite320_mobilenet_v3_large",
            "arguments": arguments,
        },
    )
    weights = scaled_state(detection.ssdlite320_mobilenet_v3_large(**arguments))
    for name, weight in weights.items():
        if name.startswith("head.classification_head") and weight.shape[2:] == (1, 1):
            weight *= 0.05  # no scores of 1.0
    worker = served_artifact(
        artifact.write(tmp_path / "few", weights, photograph(tmp_path / "few")),
        options={"score_threshold": 0.1, "max_detections": 20},
    )
    [answer] = worker.json(ROWS[0])
    scores = [found["score"] for found in answer["detections"]]
    assert len(scores) == 20
    # In one batch, each request has its own.
    asked: list[dict[str, Any]] = [{}, {"score_threshold": b"0", "max_detections": b"300"}, {"max_detections": b"2"}]
    own, more, fewer = worker.json(*({**ROWS[0], **each} for each in asked))
    assert own == answer
    assert len(more["detections"]) > 100
    assert more["detections"][:20] == answer["detections"]
    assert fewer["detections"] == answer["detections"][:2]


def test_masks_are_computed_for_as_many_as_the_spec_allows(tmp_path: Path) -> None:
    torch.manual_seed(0)
    artifact = Artifact(
        name="masks",
        task="instance-segmentation",
        format="safetensors",
        labels=["__background__", "circle", "square"],
        architecture={"factory": "tiny_networks.mask_rcnn", "arguments": {"classes": 3}},
    )
    worker = served_artifact(
        artifact.write(tmp_path / "masks", mask_rcnn(3).state_dict(), photograph(tmp_path / "masks")),
        options={"score_threshold": 0.0, "max_detections": 12},
        code=[str(PROJECT / "tests" / "tiny_networks.py")],
    )
    [answer] = worker.json(ROWS[0])
    assert len(answer["segments"]) == 12
    [(status, _, body)] = worker.answer([{**ROWS[0], "max_detections": b"13"}])
    assert (status, orjson.loads(body)["message"]) == (422, "max_detections: got 13, wanted 1 to 12")


def test_more_queries_than_the_processor_reports_by_itself(tmp_path: Path) -> None:
    """transformers' processor of Conditional DETR keeps a hundred unless it is asked for more."""
    backbone = t.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 8, 16], depths=[1, 1, 1, 1], out_features=["stage4"]
    )
    small = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    config = t.ConditionalDetrConfig(backbone_config=backbone, num_queries=60, **small, **heads, **NAMES)
    processor = t.ConditionalDetrImageProcessor(size={"shortest_edge": 64, "longest_edge": 100})
    torch.manual_seed(0)
    folder = save((t.ConditionalDetrForObjectDetection(config), processor), tmp_path / "folder")
    worker = served_folder(folder, tmp_path / "many", options={"score_threshold": 0.0, "max_detections": 250})
    [answer] = worker.json(ROWS[0])
    assert len(answer["detections"]) == 250
    reference = pipeline("object-detection", model=str(folder), image_processor=str(folder))
    wanted = sorted(reference(IMAGES[0], threshold=0.0), key=lambda found: -found["score"])
    for got, found in zip(answer["detections"], wanted, strict=False):
        assert got["score"] == pytest.approx(found["score"], abs=1e-5)
