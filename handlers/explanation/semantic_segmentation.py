"""Explains a class of a segmented image."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from handlers.explanation.attribution import Score
from handlers.explanation.image_region import Box, region
from handlers.explanation.images import ImageExplainer, ImageInput
from handlers.protocol.payload import Payload
from handlers.vision.decoding import decode_image
from handlers.vision.semantic_segmentation import SemanticSegmentation


class SemanticSegmentationExplainer(ImageExplainer[SemanticSegmentation]):
    """A class's score is the mean of its scores over the pixels where it is predicted, or over all if there are none.

    If a request names no class, the one with the largest area is explained, excluding the background.
    """

    task_class = SemanticSegmentation

    @property
    def network(self) -> nn.Module:
        forward: Any = self.task.forward
        return forward

    def example(self) -> Tensor:
        return self.task.transform.example().float()

    def look(self, inputs: Tensor) -> Tensor:
        return self.task.forward(inputs.to(self.device))[0]

    def open(self, payload: Payload) -> tuple[Tensor, Tensor, Box]:
        image = decode_image(payload, self.task.max_pixels, self.task.batcher.check)
        input_ = self.as_input(image)
        return image, input_, region(self.task.transform, *image.shape[1:], *input_.shape[2:])

    def as_input(self, image_CHW: Tensor) -> Tensor:
        return self.task.transform.geometry(image_CHW)[None].float()

    def score_of(self, item: ImageInput) -> tuple[int, Score]:
        classes_HW = self.look(item.input)[0].argmax(dim=0)
        index = item.asked.target
        if index is None:
            areas = classes_HW.flatten().bincount(minlength=len(self.labels))
            if self.task.background is not None:
                areas[self.task.background] = 0
            index = int(areas.argmax())
        mask_HW = classes_HW == index
        if not mask_HW.any():
            mask_HW = mask_HW.logical_not()
        return index, lambda inputs: self.look(inputs)[:, index][:, mask_HW].mean(dim=1)
