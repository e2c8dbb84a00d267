"""Image classification: a picture in, the most probable classes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from handlers.accept import negotiate
from handlers.answer import JSON, Answer, to_json
from handlers.base import Handler
from handlers.image import MAX_PIXELS, decode_image
from handlers.image_transform import ImageTransform
from handlers.loader import load_model
from handlers.networks.normalised import Normalised
from handlers.payload import Kind, Payload
from handlers.ranking import rank


@dataclass(frozen=True)
class Picture:
    """image: uint8 (3, height, width), resized and cropped, not yet normalised."""

    image: Tensor
    top_k: int


class ImageClassification(Handler[Picture, NDArray[np.float32]]):
    kind = Kind.MEDIA

    def load(self) -> None:
        self.transform = ImageTransform.from_dict(self.artifact.preprocessing)
        self.forward = self.accelerate(self.build, self.transform.example())
        self.max_pixels = int(self.limits.get("max_pixels", MAX_PIXELS))
        self.top_k = int(self.options.get("top_k", 5))

    def build(self) -> Normalised:
        return Normalised(load_model(self.artifact, self.device), self.transform, probabilities=True).to(self.device)

    def decode(self, payload: Payload) -> Picture:
        top_k = payload.integer("top_k", min(self.top_k, len(self.labels)), 1, len(self.labels))
        return Picture(self.transform.geometry(decode_image(payload, self.max_pixels)), top_k)

    def predict(self, items: Sequence[Picture]) -> Sequence[NDArray[np.float32]]:
        """Probabilities (classes,) for each picture."""
        batch_NCHW = torch.stack([item.image for item in items]).to(self.device, non_blocking=True)
        return list(self.forward(batch_NCHW).cpu().numpy())

    def encode(self, item: Picture, output: NDArray[np.float32], accept: str) -> Answer:
        negotiate(accept, (JSON,))
        ranked = rank(output, self.labels, item.top_k)
        return Answer(to_json({"predictions": ranked}), classes=[ranked[0]["label"]])
