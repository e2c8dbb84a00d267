"""Keypoint detection: object detection with named points for each box."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from handlers.artifact import LoadError
from handlers.errors import InternalError
from handlers.vision.batching import pixels_of
from handlers.vision.detectors.contract import check_format
from handlers.vision.object_detection import DetectionInput, ObjectDetection
from handlers.vision.output.drawing import draw_keypoints


class KeypointDetection(ObjectDetection):
    """For models that add keypoints (N, K, 3), x, y and a third number that is not read, and keypoints_scores (N, K) to
    torchvision's detection contract.

    preprocessing: {"keypoints": a name for each of K, and optionally "skeleton": [[i, j], …], those that lines join}.
    """

    has_heads = True

    def load(self) -> None:
        super().load()
        self.names: list[str] = self.artifact.preprocessing["keypoints"]
        self.skeleton = [(i, j) for i, j in self.artifact.preprocessing.get("skeleton", ())]

    def own_detector(self) -> None:
        check_format(self.artifact)

    def points(self, output: dict[str, Tensor]) -> Tensor:
        """(N, K, 3): x and y in the image's pixels, and the score. Raises InternalError and LoadError."""
        found_NK3 = torch.cat([output["keypoints"][..., :2], output["keypoints_scores"][..., None]], dim=2)
        if found_NK3.shape[1] != len(self.names):
            raise LoadError(f"the model has {found_NK3.shape[1]} keypoints; the artifact names {len(self.names)}")
        if not torch.isfinite(found_NK3).all():
            raise InternalError("the model's output for this input is not finite")
        return found_NK3

    def canvas(self, item: DetectionInput, output: dict[str, Tensor]) -> Tensor:
        return draw_keypoints(
            pixels_of(item.image), self.points(output)[..., :2], output["labels"].tolist(), self.skeleton
        )

    def body(self, item: DetectionInput, output: dict[str, Tensor], found: list[dict[str, Any]]) -> dict[str, Any]:
        detections = [
            {
                **detection,
                "keypoints": [
                    {"name": name, "x": x, "y": y, "score": score}
                    for name, (x, y, score) in zip(self.names, points, strict=True)
                ],
            }
            for detection, points in zip(found, self.points(output).tolist(), strict=True)
        ]
        return {"detections": detections}
