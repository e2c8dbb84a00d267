"""A detector of transformers, such as DETR, RT-DETR or YOLOS, with the processor of its folder."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from handlers.vision.huggingface.image_processor import ImageProcessor

# Detections of an image, as many as an answer may have.
MOST = 1000


class TransformersDetector:
    """mixes_sizes: whether images of all sizes become inputs of one size. Others are never padded to share a batch:
    what is padded changes features near the edges, and with them the answer.
    """

    def __init__(self, network: nn.Module, folder: Path, max_pixels: int) -> None:
        self.network = network
        self.images = ImageProcessor(folder)
        self.max_pixels = max_pixels
        self.mixes_sizes = self.images.fixed_size
        self.read: Any = getattr(self.images.processor, "post_process_object_detection", None)
        if self.read is None:
            raise ValueError(f"{type(self.images.processor).__name__} is not the image processor of a detector")
        # Some report a hundred at most unless they are asked for more; RT-DETR's kinds differ in how they score.
        settings = {"top_k": MOST, "use_focal_loss": getattr(network.config, "use_focal_loss", True)}
        known = signature(self.read).parameters
        self.settings = {name: value for name, value in settings.items() if name in known}

    def check(self, height: int, width: int) -> None:
        self.images.check(height, width, self.max_pixels)

    def __call__(self, images: Sequence[Tensor]) -> list[dict[str, Tensor]]:
        """uint8 (3, height, width) each → boxes (N, 4) x1 y1 x2 y2 in its pixels, scores, labels (N,), on the CPU."""
        inputs = [self.images.inputs(image) for image in images]
        device = next(self.network.parameters()).device
        batch = {name: torch.cat([one[name] for one in inputs]).to(device) for name in inputs[0]}
        outputs = self.network(**batch, return_dict=True)
        sizes = torch.tensor([image.shape[-2:] for image in images], device=device)
        found = self.read(outputs, threshold=0.0, target_sizes=sizes, **self.settings)
        return [{name: values.detach().cpu() for name, values in each.items()} for each in found]
