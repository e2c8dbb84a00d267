"""A faster form of a detector is judged by what the detector finds with it."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from handlers.acceleration.equivalence import by_norm, mismatch
from handlers.acceleration.precision import CANDIDATES, InPrecision
from handlers.networks.detector_trunk import FeatureMaps, decoder_of_trunk, extract, names_of
from handlers.vision.detectors.difference import LEAST, by_decoding, difference
from tests.handlers.networks.test_detector_trunk import DETECTORS

SIZES = {"ssd": (96, 96), "ssdlite": (320, 320), "retinanet": (160, 192), "fcos": (160, 192), "faster_rcnn": (320, 352)}


@torch.inference_mode()
@pytest.mark.parametrize("name", DETECTORS)
def test_a_trunk_s_outputs_become_what_the_detector_finds(name: str) -> None:
    torch.manual_seed(0)
    detector = DETECTORS[name][0]().eval()
    images = [torch.rand(3, *SIZES[name]) for _ in range(2)]
    wanted = detector([image.clone() for image in images])
    batch: Tensor = detector.transform([image.clone() for image in images])[0].tensors  # type: ignore[operator]
    assert batch.shape[2:] == SIZES[name]
    trunk = extract(detector)
    assert trunk is not None
    decode = decoder_of_trunk(detector, batch.shape[1:], *names_of(trunk, batch))
    for found, expected in zip(decode(trunk(batch)), wanted, strict=True):
        torch.testing.assert_close(found["scores"], expected["scores"])
        torch.testing.assert_close(found["boxes"], expected["boxes"], atol=1e-2, rtol=1e-4)
    assert not isinstance(detector.backbone, FeatureMaps)  # the detector itself is as it was


def found(scores: list[float], labels: list[int] | None = None, shift: float = 0.0) -> dict[str, Tensor]:
    corners = torch.arange(len(scores))[:, None] * 50.0 + torch.tensor([0.0, 0.0, 40.0, 40.0]) + shift
    return {"boxes": corners, "scores": torch.tensor(scores), "labels": torch.tensor(labels or [1] * len(scores))}


SURE = [0.9, 0.8, 0.75, 0.7, 0.6, 0.52, 0.2, 0.1]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (found(SURE), ""),
        (found([score + 0.004 for score in SURE]), ""),
        (found([*SURE[:6], 0.15, 0.05]), ""),  # below the threshold, and not among the best few
        (found(SURE[:6]), ""),
        (found([0.9, 0.8, 0.75, 0.7, 0.6, 0.48, 0.2, 0.1]), "differs by 0.0400"),
        (found(SURE, shift=0.5), ""),
        (found(SURE, shift=3.0), "nothing"),
        (found(SURE, [1, 2, 1, 1, 1, 1, 1, 1]), "class 1 of score 0.800"),
        (found(SURE[:5]), "nothing"),
        (found([*SURE, 0.55]), "class 1 of score 0.550"),
        (found([float("nan"), *SURE[1:]]), "differs by nan"),
        (found([]), "nothing"),
    ],
)
def test_detections_that_answers_show_are_compared(other: dict[str, Tensor], message: str) -> None:
    problem = difference([other], [found(SURE)], 0.5)
    assert message in problem
    assert bool(problem) is bool(message)


def test_where_nothing_reaches_the_threshold_the_best_are_compared() -> None:
    low = [0.3, 0.29, 0.28, 0.27, 0.26, 0.1]
    assert len(low) > LEAST
    assert difference([found(low)], [found(low)], 0.5) == ""
    assert difference([found([0.3, 0.29, 0.28, 0.27, 0.24, 0.1])], [found(low)], 0.5)
    assert difference([found([0.3, 0.29, 0.28, 0.27, 0.26, 0.0])], [found(low)], 0.5) == ""
    assert difference([found([])], [found([])], 0.5) == ""


class Sharp(nn.Module):
    """Boxes of classes that a last bit decides: (maps, regression (N, A, 4), logits (N, A, 3))."""

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        count = len(images)
        logits = torch.full((count, 2000, 3), -20.0)
        logits[:, :8] = torch.tensor([9.0, 9.4, -20.0])
        return torch.ones(count, 8, 4, 4), torch.zeros(count, 2000, 4), logits


def decode(outputs: Sequence[Tensor]) -> list[dict[str, Tensor]]:
    scores = outputs[2].softmax(-1)[..., 1]
    return [found(row[:8].tolist()) for row in scores]


def test_a_small_norm_with_a_sharp_class_is_refused() -> None:
    """Which a softmax over the anchors would let pass."""
    wanted = Sharp()(torch.zeros(1, 3, 8, 8))
    moved = [part.clone() for part in wanted]
    moved[2][:, :8, 0] += 0.25
    judge = by_decoding(decode, lambda ours, expected: difference(ours, expected, 0.5))
    assert by_norm(moved, wanted) == ""
    assert (moved[2].softmax(1) - wanted[2].softmax(1)).abs().max() < 0.1
    assert "a score that differs by 0.0" in judge(moved, wanted)
    assert mismatch(moved, wanted)
    assert judge(wanted, wanted) == ""


@torch.no_grad()
def test_a_form_that_finds_something_else_is_refused() -> None:
    torch.manual_seed(0)
    detector = DETECTORS["ssd"][0]().eval()
    trunk = extract(detector)
    assert trunk is not None
    images = torch.randn(1, 3, 96, 96)
    names = names_of(trunk, images)
    judge = by_decoding(
        decoder_of_trunk(detector, images.shape[1:], *names), lambda ours, expected: difference(ours, expected, 0.5)
    )
    wanted = trunk(images)
    assert judge(wanted, wanted) == ""
    half = InPrecision(trunk, CANDIDATES[0])(images)
    assert judge([*half[:-1], half[-1] * 1.5], wanted)
