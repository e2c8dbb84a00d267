"""Depth estimation: an image in, the depth of each of its pixels out."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor, nn
from torch.nn import functional as F

from handlers.acceleration.equivalence import by_norm
from handlers.drift.image_handler import ImageHandler
from handlers.errors import InternalError
from handlers.loader import load_model
from handlers.networks.normalised import Normalised
from handlers.protocol.payload import Payload
from handlers.protocol.response import JSON, PNG, Response, to_json
from handlers.vision.batching import from_device, to_device
from handlers.vision.decoding import decode_image
from handlers.vision.depth_transform import DepthTransform
from handlers.vision.gpu_batching import sample

HIGHEST = 65_535  # of a 16-bit PNG
MILLIMETRE = 0.001


@dataclass(frozen=True)
class DepthInput:
    """small: uint8 (3, height, width) at the model's size. size: of the image as it was sent. map: in a JSON answer."""

    small: Tensor
    size: tuple[int, int]
    map: bool


class DepthNetwork(nn.Module):
    """Normalised images (B, 3, H, W) → depths (B, h, w), of a network that gives these, (B, 1, h, w), alone or first of
    several, or transformers' `predicted_depth`."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images_NCHW: Tensor) -> Tensor:
        output: Any = self.network(images_NCHW)
        if isinstance(output, tuple):
            output = output[0]
        depths: Tensor = output if isinstance(output, Tensor) else output.predicted_depth
        return depths.squeeze(1) if depths.ndim == 4 else depths


class DepthEstimation(ImageHandler[DepthInput, NDArray[np.float32]]):
    """For Hugging Face folders of DPT, Depth Anything and GLPN, and networks of one's own.

    The artifact's preprocessing holds, beside the DepthTransform, `kind`: "metric", in metres, or "relative"; and
    `nearer`: whether a "lower" or a "higher" number is nearer to the camera.
    """

    media_types = (JSON, PNG)

    def load(self) -> None:
        preprocessing = dict(self.artifact.preprocessing)
        self.kind: str = preprocessing.pop("kind")
        self.nearer: str = preprocessing.pop("nearer")
        self.transform = DepthTransform.from_dict(preprocessing)
        self.max_pixels = int(self.limits["max_pixels"])
        self.max_model_pixels = int(self.limits["max_model_pixels"])
        if self.transform.is_fixed or self.device.type == "cuda":
            dynamic = (0,) if self.transform.is_fixed else (0, 2, 3)
            self.forward = self.accelerate(
                self.build, self.transform.geometry(sample(self.artifact))[None], dynamic, by_norm
            )
        else:
            self.forward = self.build()  # a trace would have the sizes of one image in it

    def build(self) -> Normalised:
        network = DepthNetwork(load_model(self.artifact, self.device))
        return Normalised(network, self.transform).to(self.device).eval()

    def check(self, height: int, width: int) -> None:
        self.transform.check(height, width, self.max_pixels, self.max_model_pixels)

    def decode(self, payload: Payload) -> DepthInput:
        wanted = payload.flag("map", False)
        image = decode_image(payload, self.max_pixels, self.check)
        return DepthInput(self.transform.geometry(image), (image.shape[1], image.shape[2]), wanted)

    def predict(self, items: Sequence[DepthInput]) -> Sequence[NDArray[np.float32]]:
        """Depths (height, width) for each image, at its own size; those that the model sees at one size together."""
        alike: dict[tuple[int, ...], list[int]] = {}
        for index, item in enumerate(items):
            alike.setdefault(tuple(item.small.shape), []).append(index)
        outputs: dict[int, NDArray[np.float32]] = {}
        for indices in alike.values():
            for first in range(0, len(indices), self.batch_size):
                part = indices[first : first + self.batch_size]
                [depths_NHW] = self.forward(to_device([items[index].small for index in part], self.device))
                found = [stretched(depths, items[index].size) for index, depths in zip(part, depths_NHW, strict=True)]
                outputs |= zip(part, (depths.numpy() for depths in from_device(found)), strict=True)
        return [outputs[index] for index in range(len(items))]

    def encode(self, item: DepthInput, output: NDArray[np.float32], media_type: str) -> Response:
        lowest, highest = float(output.min()), float(output.max())
        if not np.isfinite([lowest, highest]).all():
            raise InternalError("the model's output for this input is not finite")
        scale, offset = self.quantisation(lowest, highest)
        body: dict[str, Any] = {
            "size": list(output.shape),
            "kind": self.kind,
            "nearer": self.nearer,
            "minimum": lowest,
            "maximum": highest,
            "mean": float(output.mean(dtype=np.float64)),
            "scale": scale,
            "offset": offset,
        }
        if media_type == PNG:
            return Response(to_png16(output, scale, offset, self.kind, self.nearer), PNG)
        if item.map:
            png = to_png16(output, scale, offset, self.kind, self.nearer)
            body["png"] = base64.b64encode(png).decode("ascii")
        return Response(to_json(body))

    def quantisation(self, lowest: float, highest: float) -> tuple[float, float]:
        """(scale, offset) of the PNG: depth = offset + scale × number. Metres are written as millimetres, as depth
        cameras do, where those fit; relative depths take the whole range."""
        if self.kind == "metric":
            return max(MILLIMETRE, highest / HIGHEST), 0.0
        return (highest - lowest) / HIGHEST, lowest


def stretched(depths_HW: Tensor, size: tuple[int, int]) -> Tensor:
    """The depths at an image's own size, as the post-processing of transformers has them."""
    return F.interpolate(depths_HW[None, None].float(), size, mode="bicubic", align_corners=False)[0, 0]


def to_png16(depths: NDArray[np.float32], scale: float, offset: float, kind: str, nearer: str) -> bytes:
    """A grey PNG of 16 bits, with what its numbers mean in its text chunks."""
    numbers = np.zeros_like(depths) if scale == 0 else (depths - np.float32(offset)) / np.float32(scale)
    np.clip(np.rint(numbers, out=numbers), 0, HIGHEST, out=numbers)
    texts = PngInfo()
    for name, value in (("kind", kind), ("nearer", nearer), ("scale", repr(scale)), ("offset", repr(offset))):
        texts.add_text(name, value)
    buffer = io.BytesIO()
    Image.fromarray(numbers.astype(np.uint16)).save(buffer, "PNG", compress_level=1, pnginfo=texts)
    return buffer.getvalue()
