"""Whether two forms of a detector find the same, by what their answers show."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torchvision.ops import box_iou

from handlers.acceleration.equivalence import PROBABILITY, Judge, Outputs, by_norm
from handlers.networks.detector_trunk import Detections

# Of a box and the one that is found in its place.
IOU = 0.95
# Detections of an image that are compared where fewer reach the threshold.
LEAST = 5


def difference(found: Detections, wanted: Detections, threshold: float) -> str:
    """How the detections that answers show, and the best LEAST of each image, differ; "" where they agree.

    Each has one of its label beside it in the other form: their overlap is IOU at least, and their scores differ by
    twice PROBABILITY at most, since a score that passes the threshold is either shown or not.
    """
    for number, (ours, expected) in enumerate(zip(found, wanted, strict=True)):
        for these, those in ((expected, ours), (ours, expected)):
            order = these["scores"].argsort(descending=True, stable=True)
            shown = order[: max(LEAST, int((these["scores"] >= threshold).sum()))]
            for index in shown.tolist():
                label, score, box = (these[name][index] for name in ("labels", "scores", "boxes"))
                same = (those["labels"] == label) & (box_iou(box[None].float(), those["boxes"].float())[0] >= IOU)
                apart = (those["scores"][same] - score).abs()
                if not len(apart) or not apart.min() <= 2 * PROBABILITY:
                    by = f"a score that differs by {apart.min():.4f}" if len(apart) else "nothing"
                    return (
                        f"beside class {int(label)} of score {float(score):.3f} in image {number} there would be {by}"
                    )
    return ""


def by_decoding(decode: Callable[[Outputs], Detections], judge: Callable[[Detections, Detections], str]) -> Judge:
    """A judge of a trunk's outputs by the detections that they become."""

    def judged(found: Outputs, wanted: Outputs) -> str:
        return by_norm(found, wanted) or judge(decode(found), decode(wanted))

    return torch.no_grad()(judged)
