"""Semantic segmentation: an image in, one mask per class out, in the image's own pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from handlers.base import Handler
from handlers.errors import InternalError
from handlers.loader import load_model
from handlers.protocol.payload import InputType, Payload
from handlers.protocol.response import JSON, PNG, Response, to_json
from handlers.ranking import check_count
from handlers.vision.batching import ImageBatcher, to_device
from handlers.vision.decoding import decode_image, to_png
from handlers.vision.gpu_batching import example
from handlers.vision.huggingface.semantic_scores import SemanticScores
from handlers.vision.network_input import over_images, transform_of, varying
from handlers.vision.output.drawing import draw_label_map
from handlers.vision.output.rle import encode_mask

RENDERINGS = ("overlay", "label-map")
# Pixels whose logits are stretched at a time: for 21 classes they take 84 bytes each.
BAND = 1 << 20


@dataclass(frozen=True)
class SegmentationInput:
    """image: uint8 (3, height, width) as it was sent; small: the same at the model's size. render: of a PNG."""

    image: Tensor
    small: Tensor
    render: str


class SemanticSegmentation(Handler[SegmentationInput, NDArray[np.uint8]]):
    """The background has no segment of its own in the answer. It is labels[0], unless the artifact's preprocessing says
    `background`: the index of another class, or null where every class is one of things. Of a Hugging Face folder it is
    the class with that name, if there is one.
    """

    input_type = InputType.MEDIA
    media_types = (JSON, PNG)

    def load(self) -> None:
        if len(self.labels) > 256:
            raise ValueError(f"{len(self.labels)} classes do not fit into an 8-bit label map")
        preprocessing = dict(self.artifact.preprocessing)
        self.background: int | None = preprocessing.pop("background", self.named_background())
        self.transform = transform_of(self.artifact, preprocessing)
        self.max_pixels = int(self.limits["max_pixels"])
        self.batcher = ImageBatcher(self.transform, self.max_pixels, self.device)
        self.forward = self.accelerate(self.build, example(self.artifact, self.batcher), varying(self.transform))
        self.min_area = int(self.options["min_area"])

    def named_background(self) -> int | None:
        if self.artifact.format != "huggingface":
            return 0
        names = [label.strip("_").lower() for label in self.labels]
        return names.index("background") if "background" in names else None

    def build(self) -> nn.Module:
        network = load_model(self.artifact, self.device)
        if self.artifact.format == "huggingface":
            return SemanticScores(network).to(self.device).eval()
        return over_images(network, self.transform).to(self.device).eval()

    def decode(self, payload: Payload) -> SegmentationInput:
        render = payload.choice("render", "overlay", RENDERINGS)
        image = decode_image(payload, self.max_pixels, self.batcher.check)
        return SegmentationInput(image, self.transform.geometry(image), render)

    def predict(self, items: Sequence[SegmentationInput]) -> Sequence[NDArray[np.uint8]]:
        """A label map (height, width) of class indices for each image, at its own size."""
        maps: dict[int, NDArray[np.uint8]] = {}
        for indices in self.batcher.groups([item.small for item in items]):
            batch_NCHW = to_device([items[index].small for index in indices], self.device)
            logits_NCHW, *_ = self.forward(batch_NCHW)
            check_count(logits_NCHW.shape[1], self.labels)
            maps |= {i: self.label_map(items[i], logits) for i, logits in zip(indices, logits_NCHW, strict=True)}
        return [maps[index] for index in range(len(items))]

    def label_map(self, item: SegmentationInput, logits_CHW: Tensor) -> NDArray[np.uint8]:
        """The class of each pixel of the image, by the logits stretched to its size.

        Three quick forms of slow calls: aminmax hands on what is not finite at an eighth of isfinite's time, max over
        a dimension gives argmax's indices at a fifth of its time, and both it and the stretching are faster where a
        pixel's logits lie side by side.
        """
        if not torch.isfinite(torch.stack(torch.aminmax(logits_CHW))).all():
            raise InternalError("the model's output for this input is not finite")
        height, width = item.image.shape[1:]
        logits_NCHW = logits_CHW[None].contiguous(memory_format=torch.channels_last)
        if height * width <= BAND:
            return classes(F.interpolate(logits_NCHW, [height, width], mode="bilinear", align_corners=False))
        found = np.empty((height, width), np.uint8)
        rows = max(1, BAND // width)
        for top in range(0, height, rows):
            band = np.arange(top, min(top + rows, height))
            stretched_NCHW = F.interpolate(
                rows_at(logits_NCHW, band, height), [len(band), width], mode="bilinear", align_corners=False
            )
            found[band[0] : band[-1] + 1] = classes(stretched_NCHW)
        return found

    def encode(self, item: SegmentationInput, output: NDArray[np.uint8], media_type: str) -> Response:
        areas = np.bincount(output.ravel(), minlength=len(self.labels))
        found = [i for i in range(len(self.labels)) if i != self.background and areas[i] >= self.min_area]
        classes = [self.labels[i] for i in found]
        if media_type == PNG:
            drawn = (
                to_png(output) if item.render == "label-map" else draw_label_map(item.image, output, self.background)
            )
            return Response(drawn, PNG, classes=classes)
        segments = [
            {"label": self.labels[i], "index": i, "rle": encode_mask(output == i), "area": int(areas[i])} for i in found
        ]
        return Response(to_json({"size": list(output.shape), "segments": segments}), classes=classes)


def classes(logits_NCHW: Tensor) -> NDArray[np.uint8]:
    return logits_NCHW[0].max(dim=0).indices.to(torch.uint8).cpu().numpy()


def rows_at(logits_NCHW: Tensor, rows: NDArray[np.int64], height: int) -> Tensor:
    """Logits of some rows of an image of `height` rows, as bilinear interpolation places them (align_corners=False)."""
    last = logits_NCHW.shape[2] - 1
    places = np.clip((rows + 0.5) * ((last + 1) / height) - 0.5, 0, None)
    above = np.minimum(places.astype(np.int64), last)
    share = torch.from_numpy((places - above).astype(np.float32)).to(logits_NCHW.device)[:, None]
    upper, lower = (
        logits_NCHW[:, :, torch.from_numpy(index).to(logits_NCHW.device)]
        for index in (above, np.minimum(above + 1, last))
    )
    return torch.lerp(upper, lower, share.to(upper.dtype))
