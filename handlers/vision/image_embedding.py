"""Image embedding: an image in, a vector out whose direction says what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from handlers.acceleration.equivalence import by_norm
from handlers.artifact import LoadError
from handlers.drift.image_handler import ImageHandler
from handlers.errors import InternalError
from handlers.loader import load_model
from handlers.networks.image_features import ImageFeatures, LayerOutput
from handlers.networks.normalised import Normalised
from handlers.protocol.payload import Payload
from handlers.protocol.response import Response, to_json
from handlers.vision.batching import ImageBatcher, ImageData
from handlers.vision.gpu_batching import decoder_of, example, sample, with_decoder
from handlers.vision.transform import ImageTransform

MIN_NORM = 1e-12


@dataclass(frozen=True)
class EmbeddingInput:
    """normalise: whether the vector is to have length 1."""

    image: ImageData
    normalise: bool


class ImageEmbedding(ImageHandler[EmbeddingInput, NDArray[np.float32]]):
    """For networks over images as `ImageFeatures` takes them, and Hugging Face folders that AutoModel loads: CLIP and
    SigLIP or their vision towers alone, DINOv2, ViT, ConvNeXt.

    The artifact's preprocessing holds, beside the transform, `embedding`: the layer of a classifier that gives the
    vector; without it that is the network's output.
    """

    def load(self) -> None:
        preprocessing = dict(self.artifact.preprocessing)
        layer = preprocessing.pop("embedding", None)
        self.layer = self.options.get("embedding", layer)
        self.transform = ImageTransform.from_dict(preprocessing)
        self.batcher = ImageBatcher(self.transform, int(self.limits["max_pixels"]), self.device)
        self.forward = self.accelerate(self.build, example(self.artifact, self.batcher), judge=by_norm)
        self.batcher = with_decoder(
            self.batcher, lambda: sample(self.artifact), self.forward, self.options["decode"], by_norm
        )
        self.normalise = bool(self.options["normalise"])

    def describe_runtime(self) -> dict[str, str]:
        return decoder_of(self.batcher)

    def build(self) -> Normalised:
        features = ImageFeatures(self.layer_of(load_model(self.artifact, self.device)), self.options["pooling"])
        return Normalised(features, self.transform).to(self.device).eval()

    def layer_of(self, model: nn.Module) -> nn.Module:
        if not self.layer:
            return model
        if self.artifact.format != "safetensors":
            raise LoadError(f"embedding: wanted weights as safetensors; {self.artifact.format} has no layers to name")
        return LayerOutput(model, self.layer)

    def decode(self, payload: Payload) -> EmbeddingInput:
        normalise = payload.flag("normalise", self.normalise)
        return EmbeddingInput(self.batcher.open(payload), normalise)

    def predict(self, items: Sequence[EmbeddingInput]) -> Sequence[NDArray[np.float32]]:
        """(dimensions,) for each image, as the model gives it."""
        [vectors] = self.forward(self.batcher.batch([item.image for item in items]))
        return list(vectors.cpu().numpy())

    def encode(self, item: EmbeddingInput, output: NDArray[np.float32], media_type: str) -> Response:
        if not np.isfinite(output).all():
            raise InternalError("the model's output for this input is not finite")
        if item.normalise:
            output = output / max(float(np.linalg.norm(output)), MIN_NORM)
        return Response(to_json({"embedding": output}))
