"""The postprocessing of a batch of SSD's outputs against torchvision's own."""

from functools import partial

import pytest
import torch
from torch import Tensor
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.ssd import SSD

from handlers.networks.detection import mobilenet_v2_ssd
from handlers.vision.detectors.ssd import batch_postprocessing, detections

CLASSES = 21


@pytest.fixture(scope="module")
def detector() -> SSD:
    return mobilenet_v2_ssd(CLASSES, 96, 32).eval()


def outputs(detector: SSD, images: int, spread: float) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Random, as the head gives them, and the anchors."""
    generator = torch.Generator().manual_seed(images)
    with torch.no_grad():
        maps = list(detector.backbone(torch.zeros(images, 3, 96, 96)).values())
    anchors = detector.anchor_generator(ImageList(torch.zeros(images, 3, 96, 96), [(96, 96)] * images), maps)
    shape = (images, len(anchors[0]))
    regression = torch.randn(*shape, 4, generator=generator)
    logits = torch.randn(*shape, CLASSES, generator=generator) * spread
    return {"bbox_regression": regression, "cls_logits": logits}, anchors


def check(detector: SSD, found: list[dict[str, Tensor]], wanted: list[dict[str, Tensor]]) -> None:
    for ours, expected in zip(found, wanted, strict=True):
        assert set(ours) == set(expected)
        torch.testing.assert_close(ours["scores"], expected["scores"], atol=0, rtol=0)
        assert torch.equal(ours["labels"], expected["labels"])
        assert torch.equal(ours["boxes"], expected["boxes"])


@pytest.mark.parametrize(
    ("images", "spread", "settings"),
    [(1, 3.0, (0.01, 400, 100)), (5, 3.0, (0.2, 400, 100)), (3, 0.5, (0.05, 5, 10)), (2, 3.0, (0.9999, 400, 100))],
)
def test_it_finds_what_torchvision_does(
    detector: SSD, images: int, spread: float, settings: tuple[float, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in zip(("score_thresh", "topk_candidates", "detections_per_img"), settings, strict=True):
        monkeypatch.setattr(detector, name, value)
    found, anchors = outputs(detector, images, spread)
    sizes = [(96, 96)] * images
    wanted = SSD.postprocess_detections(detector, found, anchors, sizes)
    check(detector, detections(detector, found, anchors, sizes), wanted)
    assert settings[0] > 0.9 or sum(len(each["scores"]) for each in wanted) > 0


def test_boxes_are_cut_at_each_image_s_own_edges(detector: SSD) -> None:
    found, anchors = outputs(detector, 2, 3.0)
    sizes = [(96, 60), (40, 96)]
    check(
        detector,
        detections(detector, found, anchors, sizes),
        SSD.postprocess_detections(detector, found, anchors, sizes),
    )


def test_an_ssd_takes_it_and_no_other_detector_does(detector: SSD) -> None:
    class Own(SSD):
        def postprocess_detections(self, *args: object) -> list[dict[str, Tensor]]:
            return []

    generator = torch.Generator().manual_seed(0)
    for part in detector.parameters():  # as they are made, many scores would be equal, and in no order
        part.data = torch.randn(part.shape, generator=generator) / 5
    images = [torch.rand(3, 60, 80, generator=generator), torch.rand(3, 120, 90, generator=generator)]
    with torch.inference_mode():
        wanted = detector(images)
        batch_postprocessing(detector)
        assert isinstance(vars(detector)["postprocess_detections"], partial)
        check(detector, detector(images), wanted)
    for other in (object.__new__(Own), object.__new__(RetinaNet)):
        batch_postprocessing(other)
        assert "postprocess_detections" not in vars(other)
