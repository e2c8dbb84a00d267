"""Explains a class of an image."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from handlers.explanation.attribution import Score
from handlers.explanation.image_region import Box, region
from handlers.explanation.images import ImageExplainer, ImageInput
from handlers.protocol.payload import Payload
from handlers.vision.decoding import decode_image
from handlers.vision.image_classification import ImageClassification
from handlers.vision.network_input import Transform
from handlers.vision.views import Views


class ImageClassificationExplainer(ImageExplainer[ImageClassification]):
    """A class's score is its output before softmax or sigmoid, or its probability if that is the model's output.

    If a request names no class, the most probable one is explained.
    """

    task_class = ImageClassification
    transform: Transform

    def prepare(self) -> None:
        transform = self.task.transform
        if isinstance(transform, Views):
            self.refusal = "an ensemble whose members see an image at several sizes cannot be explained"
        else:
            self.transform = transform

    @property
    def network(self) -> nn.Module:
        forward: Any = self.task.forward
        return forward

    def example(self) -> Tensor:
        return self.transform.example().to(torch.float32)

    def look(self, inputs: Tensor) -> Tensor:
        return self.task.forward(inputs.to(self.device))[0]

    def open(self, payload: Payload) -> tuple[Tensor, Tensor, Box]:
        image = decode_image(payload, self.task.max_pixels, self.task.batcher.check)
        input_ = self.as_input(image)
        return image, input_, region(self.transform, *image.shape[1:], *input_.shape[2:])

    def as_input(self, image_CHW: Tensor) -> Tensor:
        return self.transform.geometry(image_CHW)[None].to(torch.float32)

    def score_of(self, item: ImageInput) -> tuple[int, Score]:
        index = item.asked.target
        if index is None:
            index = int(self.look(item.input)[0].argmax())
        return index, lambda inputs: self.look(inputs)[:, index]
