"""The image a worker on a GPU tries its model with while loading, and the choice of its JPEG decoder."""

from __future__ import annotations

import logging
from typing import Literal

import torch
from torch import Tensor
from torchvision.io import encode_jpeg

from handlers.acceleration.batch_buckets import Function
from handlers.acceleration.equivalence import mismatch
from handlers.artifact import SAMPLE_TYPES, Artifact
from handlers.batching.isolation import is_poisoned
from handlers.loader import LoadError
from handlers.protocol.limits import Limits
from handlers.protocol.payload import InputType
from handlers.protocol.request import parse
from handlers.vision.batching import DecodeFiles, ImageBatcher, JpegBatcher
from handlers.vision.decoding import decode_image
from handlers.vision.huggingface.image_processor import ImageProcessor

logger = logging.getLogger(__name__)

Choice = Literal["auto", "cpu", "gpu"]


def sample(artifact: Artifact) -> Tensor:
    """The image in the artifact's sample, uint8 (3, height, width)."""
    data = artifact.sample.read_bytes()
    limits = Limits(len(data), max_instances=1, max_values=len(data))
    headers = {"content-type": SAMPLE_TYPES[artifact.sample.suffix]}
    return decode_image(parse({"body": data}, headers, InputType.MEDIA, limits).payloads[0])


def example(artifact: Artifact, batcher: ImageBatcher) -> Tensor:
    """An input of batch size 1 on the CPU: noise for a graph on a CPU; on a GPU the artifact's sample, because there
    the answers to it decide about the precision."""
    if batcher.device.type == "cpu":
        return batcher.transform.example()
    return batcher.transform.geometry(sample(artifact))[None]


def on_gpu(
    batcher: ImageBatcher, image: Tensor, forward: Function, choice: Choice, decode_files: DecodeFiles
) -> ImageBatcher:
    """`batcher`, or one that decodes the JPEGs of a batch together by `decode_files`, which is nvJPEG's.

    choice: "cpu" leaves it as it is; "auto" takes nvJPEG where the model answers `image` alike with it: it
    spreads the colours of JPEGs with halved colour planes otherwise than libjpeg-turbo, and some models see that;
    "gpu" takes it without asking, and raises LoadError where it does not work at all. forward: the model.
    """
    transform = batcher.transform
    if choice == "cpu" or isinstance(transform, ImageProcessor) or not transform.fixed_size:
        return batcher
    together = JpegBatcher(transform, batcher.max_pixels, batcher.device, decode_files)
    try:
        problem = compare(batcher, together, image, forward)
    except RuntimeError as error:
        if is_poisoned(error):
            raise
        if choice == "gpu":
            raise LoadError(f"decode: gpu, but nvJPEG does not work here: {error}") from None
        problem = str(error).partition("\n")[0]
    if not problem or choice == "gpu":
        logger.info("JPEGs are decoded on the GPU%s", f"; with the sample as one, {problem}" if problem else "")
        return together
    logger.warning("JPEGs are decoded on the CPU; on the GPU, with the sample as one: %s", problem)
    return batcher


@torch.inference_mode()
def compare(batcher: ImageBatcher, together: JpegBatcher, image: Tensor, forward: Function) -> str:
    """How a model's answers to `image` as a JPEG, whole and mirrored, differ with the decoder; "" where they agree."""
    files = [encode_jpeg(view.contiguous(), quality=90).numpy().tobytes() for view in (image, image.flip(-1))]
    batch_NCHW = torch.stack(together.together(files))
    return mismatch(forward(batch_NCHW), forward(batcher.batch(files)))
