"""Explains the class of a detection."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from handlers.errors import InvalidInput
from handlers.explanation.attribution import Score
from handlers.explanation.detection_scores import QueryScores, TorchvisionScores
from handlers.explanation.image_region import Box
from handlers.explanation.images import ImageExplainer, ImageInput
from handlers.protocol.payload import Payload
from handlers.vision.decoding import decode_image
from handlers.vision.detectors.transformers_detector import TransformersDetector
from handlers.vision.object_detection import MAX_DETECTIONS, DetectionInput, ObjectDetection


class Detection(ObjectDetection):
    """Object detection with an unmodified network, whose parts are called one by one."""

    def accelerate_trunk(self) -> None:
        pass


class ObjectDetectionExplainer(ImageExplainer[ObjectDetection]):
    """A request chooses a detection by its index in the answer to the same request for a prediction, by default the
    first. `target` is the class to explain, by default the detection's own."""

    task_class = Detection
    scores: TorchvisionScores | QueryScores

    def prepare(self) -> None:
        detector = self.task.detector
        if isinstance(detector, TransformersDetector):
            self.scores = QueryScores(detector)
        elif detector is None and TorchvisionScores.knows(self.task.model):
            self.scores = TorchvisionScores(self.task.model)
        else:
            self.refusal = (
                "only torchvision's detectors and Hugging Face folders have explanations of detections: this model "
                "chooses its boxes internally, where their scores cannot be seen"
            )

    @property
    def network(self) -> nn.Module:
        return self.scores.model if isinstance(self.scores, TorchvisionScores) else self.scores.network

    def example(self) -> Tensor:
        noise = torch.rand(3, 256, 256, generator=torch.Generator().manual_seed(0))
        return self.scores.inputs(noise.to(self.device))[0]

    def look(self, inputs: Tensor) -> Any:
        if isinstance(self.scores, QueryScores):
            return self.scores.network(pixel_values=inputs, return_dict=True)
        return self.scores.features(inputs)

    def open(self, payload: Payload) -> tuple[Tensor, Tensor, Box]:
        image = decode_image(payload, self.task.max_pixels, self.task.check)
        input_, (height, width) = self.resized(image)
        rows, columns = input_.shape[-2:]
        tall, wide = image.shape[1:]
        return image, input_, (0.0, 0.0, columns * wide / width, rows * tall / height)

    def as_input(self, image_CHW: Tensor) -> Tensor:
        return self.resized(image_CHW)[0]

    def resized(self, image_CHW: Tensor) -> tuple[Tensor, tuple[int, int]]:
        with torch.no_grad():
            return self.scores.inputs(image_CHW.to(self.device).to(torch.float32).div_(255))

    def about(self, payload: Payload) -> tuple[int, float]:
        """The detection's index, and the score threshold of detections."""
        threshold = payload.number("score_threshold", self.task.score_threshold, 0.0, 1.0)
        return payload.integer("detection", 0, 0, MAX_DETECTIONS - 1), threshold

    def score_of(self, item: ImageInput) -> tuple[int, Score]:
        place, threshold = item.about
        image = DetectionInput(item.image, threshold, max(place + 1, self.task.max_detections))
        [detections] = self.task.predict([image])
        count = len(detections["scores"])
        if place >= count:
            raise InvalidInput(
                f"detection: got {place}; the image has {count} at a score_threshold of {threshold:g}, counted from 0"
            )
        box, label, score = (detections[name][place] for name in ("boxes", "labels", "scores"))
        x1, y1, x2, y2 = item.box
        rows, columns = item.input.shape[-2:]
        scale = torch.tensor([columns / (x2 - x1), rows / (y2 - y1)]).repeat(2)
        inputs = item.input.to(self.device)
        target = int(label) if item.asked.target is None else item.asked.target
        box = (box * scale).to(self.device)
        return target, self.scores.of(inputs, box, int(label), float(score), target)

    def additions(self, item: ImageInput) -> dict[str, Any]:
        return {"detection": item.about[0]}
