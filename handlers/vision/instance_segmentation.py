"""Instance segmentation: object detection with a mask for each box."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.models.detection.transform import GeneralizedRCNNTransform, resize_boxes

from handlers.vision.batching import pixels_of, size_of
from handlers.vision.detectors.contract import check_format
from handlers.vision.object_detection import DetectionInput, ObjectDetection
from handlers.vision.output.drawing import draw_masks
from handlers.vision.output.rle import encode_mask

MASK_THRESHOLD = 0.5
Size = tuple[int, int]


class InstanceSegmentation(ObjectDetection):
    """For models that add masks (N, 1, height, width), probabilities, to torchvision's detection contract.

    torchvision spreads all masks of a model over the whole image, as float32: a hundred of 25 megapixels would take
    10 GB. Where its transform does so, here each mask that is answered is spread alone.
    """

    has_heads = True

    def load(self) -> None:
        super().load()
        self.spreads = isinstance(self.resizing, GeneralizedRCNNTransform)
        if self.spreads:
            vars(self.resizing)["postprocess"] = with_boxes_only

    def own_detector(self) -> None:
        check_format(self.artifact)

    def reduced(self, name: str, values: Tensor) -> Tensor:
        """Masks of the whole image become bool where they are: a GPU's would take four times as long to copy."""
        return values >= MASK_THRESHOLD if name == "masks" and not self.spreads else values

    def masks(self, item: DetectionInput, output: dict[str, Tensor]) -> Iterator[Tensor]:
        """The masks of the detections, bool (height, width) each."""
        for mask, box in zip(output["masks"], output["boxes"], strict=True):
            if not self.spreads:
                yield mask[0]
                continue
            yield paste_masks_in_image(mask[None], box[None], size_of(item.image))[0, 0] >= MASK_THRESHOLD

    def canvas(self, item: DetectionInput, output: dict[str, Tensor]) -> Tensor:
        return draw_masks(pixels_of(item.image), self.masks(item, output), output["labels"].tolist())

    def body(self, item: DetectionInput, output: dict[str, Tensor], found: list[dict[str, Any]]) -> dict[str, Any]:
        segments = [
            {**detection, "rle": encode_mask(mask.numpy()), "area": int(mask.sum())}
            for detection, mask in zip(found, self.masks(item, output), strict=True)
        ]
        return {"size": list(size_of(item.image)), "segments": segments}


def with_boxes_only(
    result: list[dict[str, Tensor]], sizes: list[Size], originals: list[Size]
) -> list[dict[str, Tensor]]:
    """GeneralizedRCNNTransform's postprocess, without the masks: boxes back from the resized images' pixels."""
    for found, size, original in zip(result, sizes, originals, strict=True):
        found["boxes"] = resize_boxes(found["boxes"], size, original)
    return result
