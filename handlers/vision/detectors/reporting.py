"""How much one of torchvision's detectors reports: it has a threshold and a number of its own, set when it is built."""

from __future__ import annotations

from typing import Any

from torch import nn

# torchvision reports scores above its threshold, we those at ours as well.
JUST_BELOW = 1 - 1e-6


class Reporting:
    """detector: with an attribute `score_thresh`, or a part that has one; any other is left as it is.

    number: of detections that it reports of an image as it was built, None where it does not say.
    """

    def __init__(self, detector: nn.Module) -> None:
        parts: tuple[Any, ...] = (detector, getattr(detector, "roi_heads", None))
        names = ("score_thresh", "detections_per_img")
        self.part = next((part for part in parts if all(hasattr(part, name) for name in names)), None)
        self.number: int | None = None if self.part is None else int(self.part.detections_per_img)

    def set(self, score_threshold: float, max_detections: int) -> None:
        """Report all that is asked for, and compute masks and keypoints of nothing else.

        The better detections stay as they are: suppression lets a box take away only boxes with lower scores.
        """
        if self.part is None:
            return
        self.part.score_thresh = score_threshold * JUST_BELOW
        self.part.detections_per_img = max_detections
        if hasattr(self.part, "topk_candidates"):  # before suppression: of a class, or of a level of a pyramid
            self.part.topk_candidates = max(int(self.part.topk_candidates), max_detections)
