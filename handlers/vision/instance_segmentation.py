"""Instance segmentation: object detection with a mask for each box."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from handlers.vision.drawing import draw_masks
from handlers.vision.object_detection import DetectionInput, ObjectDetection
from handlers.vision.rle import encode_mask

MASK_THRESHOLD = 0.5


class InstanceSegmentation(ObjectDetection):
    """For models that add masks (N, 1, height, width), probabilities, to torchvision's detection contract."""

    def select(self, item: DetectionInput, output: dict[str, Tensor]) -> dict[str, Tensor]:
        selected = super().select(item, output)
        selected["masks"] = selected["masks"][:, 0] >= MASK_THRESHOLD
        return selected

    def canvas(self, item: DetectionInput, output: dict[str, Tensor]) -> Tensor:
        return draw_masks(item.image, output["masks"], output["labels"].tolist())

    def body(self, item: DetectionInput, output: dict[str, Tensor], found: list[dict[str, Any]]) -> dict[str, Any]:
        masks = output["masks"].numpy()
        segments = [
            {**detection, "rle": encode_mask(mask), "area": int(mask.sum())}
            for detection, mask in zip(found, masks, strict=True)
        ]
        return {"size": list(item.image.shape[1:]), "segments": segments}
