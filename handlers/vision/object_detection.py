"""Object detection: an image in, boxes with labels and scores out, in the image's own pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from handlers.drift.image_handler import ImageHandler
from handlers.errors import InternalError, InvalidInput
from handlers.loader import channels_last, load_model
from handlers.networks.detector_trunk import (
    Detections,
    classes,
    decoder_of_trunk,
    example_for,
    extract,
    install,
    names_of,
)
from handlers.protocol.payload import Payload
from handlers.protocol.response import JSON, PNG, Response, to_json
from handlers.ranking import check_count
from handlers.vision.batching import ImageBatcher, ImageData, from_device, pixels_of, size_of
from handlers.vision.detectors.contract import check_program
from handlers.vision.detectors.difference import by_decoding, difference
from handlers.vision.detectors.exported import ExportedDetector
from handlers.vision.detectors.normalisation import normalise_in_place
from handlers.vision.detectors.reporting import Reporting
from handlers.vision.detectors.ssd import batch_postprocessing
from handlers.vision.detectors.transformers_detector import TransformersDetector
from handlers.vision.gpu_batching import decoder_of, sample, with_decoder
from handlers.vision.output.drawing import draw_boxes
from handlers.vision.transform import check_resizing
from handlers.vision.whole_image import WholeImage

# Pixels of the images that one call of the model gets, where there are several: as float32 they take 12 bytes each.
PIXELS_PER_CALL = 12_000_000
# In one answer, most that a request may ask for.
MAX_DETECTIONS = 1000
Reach = tuple[float, int]


@dataclass(frozen=True)
class DetectionInput:
    """image: uint8 (3, height, width), as it was sent; or a JPEG not yet decoded."""

    image: ImageData
    score_threshold: float
    max_detections: int


class ObjectDetection(ImageHandler[DetectionInput, dict[str, Tensor]]):
    """For models with torchvision's detection contract: a list of images of any sizes in, a list of dicts out.

    Hugging Face folders, and graphs whose preprocessing names their `output`, bring a detector of their own, which
    answers with the same dicts.
    """

    media_types = (JSON, PNG)
    detector: TransformersDetector | ExportedDetector | None = None
    # Whether each detection costs a run of a head of its own.
    has_heads: ClassVar[bool] = False
    reporting: Reporting | None = None
    most = MAX_DETECTIONS

    def load(self) -> None:
        self.max_pixels = int(self.limits["max_pixels"])
        self.score_threshold = float(self.options["score_threshold"])
        self.max_detections = int(self.options["max_detections"])
        self.detector = self.own_detector()
        # Detectors of their own fit images into their input on the CPU.
        device = self.device if self.detector is None else torch.device("cpu")
        self.batcher = ImageBatcher(WholeImage(self.check), self.max_pixels, device)
        if self.detector is not None:
            self.mixes_sizes = self.detector.mixes_sizes
            return
        self.load_torchvision()
        self.batcher = with_decoder(
            self.batcher,
            lambda: sample(self.artifact),
            lambda images_NCHW: self.detect(list(images_NCHW)),
            self.options["decode"],
            self.judge,
        )

    def own_detector(self) -> TransformersDetector | ExportedDetector | None:
        """Of a model that does not follow torchvision's contract."""
        if self.artifact.format == "huggingface":
            return TransformersDetector(load_model(self.artifact, self.device), self.artifact.weights, self.max_pixels)
        if "output" in self.artifact.preprocessing:
            return ExportedDetector(load_model(self.artifact, self.device), self.artifact.preprocessing, self.labels)
        return None

    def load_torchvision(self) -> None:
        self.model = channels_last(load_model(self.artifact, self.device))
        check_program(self.model)
        known = classes(self.model)
        if known is not None:
            check_count(known, self.labels)
        self.reporting = Reporting(self.model)
        if self.has_heads and self.reporting.number is not None:
            self.most = max(self.reporting.number, self.max_detections)
        self.accelerate_trunk()
        if self.device.type == "cuda":
            batch_postprocessing(self.model)
        self.resizing: Any = getattr(self.model, "transform", None)
        normalise_in_place(self.resizing)
        # torchvision pads images of different sizes to one, and what is padded changes features near the edges and
        # with them the answer. Only a model that resizes all images to one size can take them mixed.
        self.mixes_sizes = getattr(self.resizing, "fixed_size", None) is not None

    def accelerate_trunk(self) -> None:
        """Replace backbone and one-stage head, which take nearly all of the time, by their fastest form."""
        trunk = extract(self.model)
        if trunk is None:
            return
        example, dynamic = example_for(self.model)
        if self.device.type == "cuda":  # where the answers to it decide about the precision
            image = sample(self.artifact).to(self.device, torch.float32).div_(255)
            transform: Any = self.model.transform
            example = transform([image])[0].tensors
        names = names_of(trunk, example.to(self.device))
        judge = by_decoding(decoder_of_trunk(self.model, example.shape[1:], *names), self.judge)
        install(self.model, self.accelerate(lambda: trunk, example, dynamic, judge), *names)

    def judge(self, found: Detections, wanted: Detections) -> str:
        return difference(found, wanted, self.score_threshold)

    def describe_runtime(self) -> dict[str, str]:
        return decoder_of(self.batcher)

    def decode(self, payload: Payload) -> DetectionInput:
        return DetectionInput(
            self.batcher.open(payload),
            payload.number("score_threshold", self.score_threshold, 0.0, 1.0),
            payload.integer("max_detections", self.max_detections, 1, self.most),
        )

    def check(self, height: int, width: int) -> None:
        """Refuse what the model's own resize could not bear, before anything is decompressed.

        To a fixed size, rows are resized before columns; otherwise the shorter side shrinks with the longer one.
        """
        if self.detector is not None:
            self.detector.check(height, width)
            return
        fixed, longest = getattr(self.resizing, "fixed_size", None), getattr(self.resizing, "max_size", None)
        if fixed:
            check_resizing((height, width), (height, fixed[0]), self.max_pixels)
        if not fixed and longest and min(height, width) * longest < max(height, width):
            raise InvalidInput(
                f"the image has {width} x {height} pixels; resized to at most {longest}, no pixel of its shorter side "
                "would be left"
            )

    def predict(self, items: Sequence[DetectionInput]) -> Sequence[dict[str, Tensor]]:
        """boxes (N, 4) x1 y1 x2 y2, labels (N,), scores (N,) for each image, best first, on the CPU."""
        sizes = [size_of(item.image) for item in items]
        groups: dict[tuple[tuple[int, ...], Reach], list[int]] = {}
        for index, (item, size) in enumerate(zip(items, sizes, strict=True)):
            groups.setdefault((() if self.mixes_sizes else size, self.reach(item)), []).append(index)
        outputs: dict[int, dict[str, Tensor]] = {}
        for (_, reach), indices in groups.items():
            if self.reporting is not None:
                self.reporting.set(*reach)
            for part in parts(indices, [sizes[i][0] * sizes[i][1] for i in indices]):
                found = self.detect(self.batcher.images([items[i].image for i in part]))
                outputs.update(zip(part, found, strict=True))
        return self.select(items, [outputs[index] for index in range(len(items))])

    def reach(self, item: DetectionInput) -> Reach:
        """The threshold and the number that the model has for a request: the spec's own, or what goes further.

        Those of neighbours would order detections of equal scores otherwise.
        """
        if self.reporting is None:
            return 0.0, MAX_DETECTIONS
        return min(item.score_threshold, self.score_threshold), max(item.max_detections, self.max_detections)

    def detect(self, images: Sequence[Tensor]) -> Detections:
        """images: uint8, on the batcher's device."""
        if self.detector is not None:
            return self.detector(images)
        outputs = self.model([image.to(torch.float32).div_(255) for image in images])
        # A scripted torchvision detector returns (losses, detections).
        return outputs[1] if isinstance(outputs, tuple) else outputs

    def select(self, items: Sequence[DetectionInput], outputs: Detections) -> Detections:
        """Detections at or above each request's threshold, best first, at most as many as it wants, on the CPU.

        A GPU is waited for twice a batch: for all scores, and for the rest of the detections that are answered.
        """
        names = [(number, name) for number, output in enumerate(outputs) for name in output]
        values = []
        for item, output, scores in zip(items, outputs, from_device([each["scores"] for each in outputs]), strict=True):
            order = scores.argsort(descending=True, stable=True)
            order = order[scores[order] >= item.score_threshold][: item.max_detections]
            order = order.to(output["scores"].device, non_blocking=True)
            values += [self.reduced(name, part[order]) for name, part in output.items()]
        found: Detections = [{} for _ in outputs]
        for (number, name), value in zip(names, from_device(values), strict=True):
            found[number][name] = value
        return found

    def reduced(self, name: str, values: Tensor) -> Tensor:
        """The part of an output that an answer needs, still on the device."""
        return values

    def detections(self, output: dict[str, Tensor]) -> list[dict[str, Any]]:
        boxes_N4, scores = output["boxes"], output["scores"]
        if not (torch.isfinite(boxes_N4).all() and torch.isfinite(scores).all()):
            raise InternalError("the model's output for this input is not finite")
        rows = zip(boxes_N4.tolist(), output["labels"].tolist(), scores.tolist(), strict=True)
        return [{"box": box, "label": self.labels[i], "score": score, "index": i} for box, i, score in rows]

    def encode(self, item: DetectionInput, output: dict[str, Tensor], media_type: str) -> Response:
        found = self.detections(output)
        classes = [d["label"] for d in found]
        if media_type == PNG:
            captions = [f"{d['label']} {d['score']:.2f}" for d in found]
            canvas = self.canvas(item, output)
            drawn = draw_boxes(canvas, output["boxes"], [d["index"] for d in found], captions)
            return Response(drawn, PNG, classes=classes)
        return Response(to_json(self.body(item, output, found)), classes=classes)

    def canvas(self, item: DetectionInput, output: dict[str, Tensor]) -> Tensor:
        """The image that boxes are drawn over."""
        return pixels_of(item.image)

    def body(self, item: DetectionInput, output: dict[str, Tensor], found: list[dict[str, Any]]) -> dict[str, Any]:
        return {"detections": found}


def parts(indices: Sequence[int], pixels: Sequence[int]) -> Iterator[list[int]]:
    """The indices in runs of up to PIXELS_PER_CALL pixels together, or of one."""
    run: list[int] = []
    total = 0
    for index, size in zip(indices, pixels, strict=True):
        if run and total + size > PIXELS_PER_CALL:
            yield run
            run, total = [], 0
        run.append(index)
        total += size
    yield run
