"""Semantic segmentation: an image in, one mask per class out, in the image's own pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from handlers.acceleration.equivalence import by_labels
from handlers.drift.image_handler import ImageHandler
from handlers.errors import InternalError
from handlers.loader import load_model
from handlers.protocol.payload import Payload
from handlers.protocol.response import JSON, PNG, Response, to_json
from handlers.ranking import check_count
from handlers.vision.batching import ImageBatcher, ImageData, JpegBatcher, JpegFile, from_device, pixels_of, size_of
from handlers.vision.decoding import decode_image, to_png
from handlers.vision.gpu_batching import decoder_of, example, sample, with_decoder
from handlers.vision.huggingface.semantic_scores import SemanticScores
from handlers.vision.network_input import over_images, transform_of, varying
from handlers.vision.output.drawing import draw_label_map
from handlers.vision.output.rle import encode_mask

RENDERINGS = ("overlay", "label-map")
# Pixels whose logits are stretched at a time: for 21 classes they take 84 bytes each.
BAND = 1 << 20


@dataclass(frozen=True)
class SegmentationInput:
    """image: uint8 (3, height, width) as it was sent; small: the same at the model's size; or both a JPEG not yet
    decoded. render: of a PNG."""

    image: ImageData
    small: ImageData
    render: str


class SemanticSegmentation(ImageHandler[SegmentationInput, NDArray[np.uint8]]):
    """The background has no segment of its own in the answer. It is labels[0], unless the artifact's preprocessing says
    `background`: the index of another class, or null where every class is one of things. Of a Hugging Face folder it is
    the class with that name, if there is one.
    """

    media_types = (JSON, PNG)

    def load(self) -> None:
        if len(self.labels) > 256:
            raise ValueError(f"{len(self.labels)} classes do not fit into an 8-bit label map")
        preprocessing = dict(self.artifact.preprocessing)
        self.background: int | None = preprocessing.pop("background", self.named_background())
        self.transform = transform_of(self.artifact, preprocessing)
        self.max_pixels = int(self.limits["max_pixels"])
        self.batcher = ImageBatcher(self.transform, self.max_pixels, self.device)
        self.forward = self.accelerate(
            self.build, example(self.artifact, self.batcher), varying(self.transform), by_labels
        )
        self.batcher = with_decoder(
            self.batcher, lambda: sample(self.artifact), self.forward, self.options["decode"], by_labels
        )
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
        if isinstance(self.batcher, JpegBatcher) and isinstance(file := self.batcher.open(payload), JpegFile):
            return SegmentationInput(file, file, render)
        image = decode_image(payload, self.max_pixels, self.batcher.check)
        return SegmentationInput(image, self.transform.geometry(image), render)

    def predict(self, items: Sequence[SegmentationInput]) -> Sequence[NDArray[np.uint8]]:
        """A label map (height, width) of class indices for each image, at its own size."""
        maps: dict[int, Tensor] = {}
        for indices in self.batcher.groups([item.small for item in items]):
            logits_NCHW, *_ = self.forward(self.batcher.batch([items[index].small for index in indices]))
            check_count(logits_NCHW.shape[1], self.labels)
            if not torch.isfinite(torch.stack(torch.aminmax(logits_NCHW))).all():
                raise InternalError("the model's output for this input is not finite")
            by_size: dict[tuple[int, int], list[int]] = {}
            for row, index in enumerate(indices):
                by_size.setdefault(size_of(items[index].image), []).append(row)
            for size, rows in by_size.items():
                # Calls cost a GPU more than pixels do, and a CPU's caches hold one image's logits at best.
                together = max(1, BAND // (size[0] * size[1])) if logits_NCHW.is_cuda else 1
                maps |= zip((indices[row] for row in rows), label_maps(logits_NCHW, rows, size, together), strict=True)
        return [found.numpy() for found in from_device([maps[index] for index in range(len(items))])]

    def describe_runtime(self) -> dict[str, str]:
        return decoder_of(self.batcher)

    def encode(self, item: SegmentationInput, output: NDArray[np.uint8], media_type: str) -> Response:
        areas = np.bincount(output.ravel(), minlength=len(self.labels))
        found = [i for i in range(len(self.labels)) if i != self.background and areas[i] >= self.min_area]
        classes = [self.labels[i] for i in found]
        if media_type == PNG:
            drawn = (
                to_png(output)
                if item.render == "label-map"
                else draw_label_map(pixels_of(item.image), output, self.background)
            )
            return Response(drawn, PNG, classes=classes)
        segments = [
            {"label": self.labels[i], "index": i, "rle": encode_mask(output == i), "area": int(areas[i])} for i in found
        ]
        return Response(to_json({"size": list(output.shape), "segments": segments}), classes=classes)


def label_maps(logits_NCHW: Tensor, rows: Sequence[int], size: tuple[int, int], together: int) -> list[Tensor]:
    """The class of each pixel, uint8 (height, width), of some of the images, all of one size, on the logits' device.

    together: images whose logits are stretched at a time. Two quick forms of slow calls: max over a dimension gives
    argmax's indices at a fifth of its time, and both it and the stretching are faster where a pixel's logits lie side
    by side.
    """
    height, width = size
    together = 1 if height * width > BAND else together
    found: list[Tensor] = []
    for first in range(0, len(rows), together):
        part = logits_NCHW[rows[first : first + together]].contiguous(memory_format=torch.channels_last)
        if height * width <= BAND:
            found += classes(F.interpolate(part, [height, width], mode="bilinear", align_corners=False))
            continue
        whole = torch.empty(height, width, dtype=torch.uint8, device=part.device)
        step = max(1, BAND // width)
        for top in range(0, height, step):
            band = np.arange(top, min(top + step, height))
            stretched = F.interpolate(
                rows_at(part, band, height), [len(band), width], mode="bilinear", align_corners=False
            )
            whole[top : top + step] = classes(stretched)[0]
        found.append(whole)
    return found


def classes(logits_NCHW: Tensor) -> Tensor:
    """uint8 (N, height, width)."""
    return logits_NCHW.max(dim=1).indices.to(torch.uint8)


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
