"""The image processor of a Hugging Face folder, in the place of our own transform."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from handlers.errors import InvalidInput, TooLarge
from handlers.formats.errors import UnsafeFile
from handlers.formats.huggingface import PROCESSOR
from handlers.formats.processor_transform import processor_of
from handlers.formats.zip_file import reason
from handlers.vision.transform import STRIP, check_resizing


class ImageProcessor:
    """transformers' own processor, one image at a time: what it does to an image never depends on the image's
    neighbours.

    fixed_size: whether images of all sizes become inputs of one size, which then share a batch.
    """

    def __init__(self, folder: Path) -> None:
        self.processor = processor_of(folder)
        try:
            wide, tall = self.example(256, 384), self.example(320, 192)
        except Exception as error:
            # The library looks at its settings when it uses them, and each has an error of its own.
            raise UnsafeFile(f"{PROCESSOR}: {type(self.processor).__name__} fails: {reason(error)}") from error
        self.fixed_size = wide.shape == tall.shape

    def inputs(self, image_CHW: Tensor) -> dict[str, Tensor]:
        """uint8 (3, height, width) → the network's inputs by name: pixel_values, float32 (1, 3, height', width'), and
        of some processors pixel_mask (1, height', width'), 0 where the input is padded."""
        processed = self.processor(
            images=image_CHW if self.processor.backend == "torchvision" else image_CHW.numpy(),
            return_tensors="pt",
            input_data_format="channels_first",
        )
        pixels: Tensor = processed["pixel_values"]
        if pixels.ndim != 4 or pixels.shape[:2] != (1, 3):
            shape = list(pixels.shape)
            raise ValueError(f"{type(self.processor).__name__} makes inputs {shape} of an image; wanted [1, 3, H, W]")
        mask = {"pixel_mask": processed["pixel_mask"]} if "pixel_mask" in processed else {}
        return {"pixel_values": pixels.to(torch.float32), **mask}

    def geometry(self, image_CHW: Tensor) -> Tensor:
        """uint8 (3, height, width) → pixel_values alone, float32 (3, height', width')."""
        return self.inputs(image_CHW)["pixel_values"][0]

    def example(self, height: int = 256, width: int = 256) -> Tensor:
        """An image of noise as a batch of one, (1, 3, height', width'): what a graph is traced with."""
        generator = torch.Generator().manual_seed(0)
        return self.geometry(torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator))[None]

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) after the processor's resize, before its crop or padding."""
        size: dict[str, Any] = dict(self.processor.size or {}) if getattr(self.processor, "do_resize", False) else {}
        size = {name: value for name, value in size.items() if value}
        if {"height", "width"} <= size.keys():
            return size["height"], size["width"]
        scale = 1.0
        if "shortest_edge" in size:
            # ConvNeXt's resizes to more than it crops.
            scale = size["shortest_edge"] / (getattr(self.processor, "crop_pct", None) or 1.0) / min(height, width)
        if "longest_edge" in size:
            scale = min(scale, size["longest_edge"] / max(height, width))
        if {"max_height", "max_width"} <= size.keys():
            scale = min(size["max_height"] / height, size["max_width"] / width)
        return int(height * scale), int(width * scale)

    def check(self, height: int, width: int, max_pixels: int) -> None:
        """Raise InvalidInput or TooLarge for an image that the resize could not bear, before any work begins."""
        tall, wide = self.resized(height, width)
        if min(tall, wide) < 1:
            raise InvalidInput(
                f"the image has {width} x {height} pixels; resized for the model, no pixel of its shorter side "
                "would be left"
            )
        check_resizing((height, width), (max(height, tall), wide), max_pixels)
        if not self.fixed_size and max(tall, wide) > STRIP * min(tall, wide):
            raise TooLarge(
                f"the image has {width} x {height} pixels and would have {wide} x {tall} when resized for the model; "
                f"wanted sides of at most {STRIP} to 1"
            )

    def is_strip(self, height: int, width: int) -> bool:
        """Never handled apart from other images, as our own transform does: `check` refuses what would be too long."""
        return False
