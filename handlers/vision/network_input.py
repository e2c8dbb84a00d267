"""An image's way into a network: our own transform, or the image processor of a Hugging Face folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from handlers.artifact import Artifact
from handlers.networks.normalised import normalised
from handlers.vision.huggingface.image_processor import ImageProcessor
from handlers.vision.huggingface.named_outputs import NamedOutputs
from handlers.vision.transform import ImageTransform
from handlers.vision.views import Views

Transform = ImageTransform | ImageProcessor


def transform_of(artifact: Artifact, preprocessing: Mapping[str, Any]) -> Transform:
    """preprocessing: of the artifact, without what is not the transform's. A Hugging Face folder says it itself."""
    if artifact.format != "huggingface":
        return ImageTransform.from_dict(preprocessing)
    if preprocessing:
        raise ValueError(f"preprocessing: {', '.join(preprocessing)}: a Hugging Face folder's is in its own files")
    return ImageProcessor(artifact.weights)


def over_images(network: nn.Module, transform: Transform | Views) -> nn.Module:
    """The network as a function of a batch of what the transform's `geometry` makes, with outputs as a tuple."""
    if isinstance(transform, ImageProcessor):
        return NamedOutputs(network)
    return normalised(network, transform)


def varying(transform: Transform | Views) -> tuple[int, ...]:
    """The dimensions of a batch that differ from the example's: the number of images, and their size if it varies."""
    return (0,) if transform.fixed_size else (0, 2, 3)
