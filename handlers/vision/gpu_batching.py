"""The image a worker on a GPU tries its model with while loading, and the choice of its JPEG decoder."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torchvision.io import encode_jpeg

from handlers.artifact import Artifact, LoadError
from handlers.batching.isolation import is_poisoned
from handlers.protocol.payload import InputType
from handlers.sample import sample_payload
from handlers.vision.batching import DecodeFiles, ImageBatcher, JpegBatcher, JpegFile
from handlers.vision.decoding import decode_image
from handlers.vision.huggingface.image_processor import ImageProcessor
from handlers.vision.nvjpeg import NvJpeg
from handlers.vision.whole_image import WholeImage

logger = logging.getLogger(__name__)

Choice = Literal["auto", "cpu", "gpu"]


def sample(artifact: Artifact) -> Tensor:
    """The image in the artifact's sample, uint8 (3, height, width)."""
    return decode_image(sample_payload(artifact, InputType.MEDIA))


def example(artifact: Artifact, batcher: ImageBatcher) -> Tensor:
    """An input of batch size 1 on the CPU: noise for a graph on a CPU; on a GPU the artifact's sample, because there
    the answers to it decide about the precision."""
    if batcher.device.type == "cpu" and not isinstance(batcher.transform, WholeImage):
        return batcher.transform.example()
    return batcher.transform.geometry(sample(artifact))[None]


def with_decoder(
    batcher: ImageBatcher,
    image: Callable[[], Tensor],
    forward: Callable[[Tensor], Any],
    choice: Choice,
    judge: Callable[[Any, Any], str],
    connect: Callable[[torch.device], DecodeFiles] = NvJpeg,
) -> ImageBatcher:
    """`batcher`, or on a GPU one that decodes the JPEGs of a batch together by what `connect` makes.

    choice: "cpu" leaves it as it is; "auto" takes nvJPEG where `judge` finds the model's answers to `image` alike with
    it; "gpu" takes it without asking, and raises LoadError where it does not work at all. forward: the model.
    """
    transform = batcher.transform
    if batcher.device.type == "cpu" and connect is NvJpeg:
        return batcher
    if choice == "cpu" or isinstance(transform, ImageProcessor):
        return batcher
    try:
        together = JpegBatcher(transform, batcher.max_pixels, batcher.device, connect(batcher.device))
        problem = compare(batcher, together, image(), forward, judge)
    except RuntimeError as error:
        if is_poisoned(error):
            raise
        if choice == "gpu":
            raise LoadError(f"decode: gpu, but nvJPEG does not work here: {error}") from None
        problem = str(error).partition("\n")[0]
        together = None
    if together is not None and (not problem or choice == "gpu"):
        logger.info("JPEGs are decoded on the GPU%s", f"; with the sample as one, {problem}" if problem else "")
        return together
    logger.warning("JPEGs are decoded on the CPU; on the GPU, with the sample as one: %s", problem)
    return batcher


@torch.inference_mode()
def compare(
    batcher: ImageBatcher,
    together: JpegBatcher,
    image: Tensor,
    forward: Callable[[Tensor], Any],
    judge: Callable[[Any, Any], str],
) -> str:
    """How a model's answers to `image` as a JPEG, whole and mirrored, differ with the decoder; "" where they agree."""
    size = (image.shape[1], image.shape[2])
    views = (image, image.flip(-1))
    files = [JpegFile(encode_jpeg(view.contiguous(), quality=90).numpy().tobytes(), size) for view in views]
    decoded = together.transform.geometry_on_gpu(together.decode_files([file.data for file in files], *size))
    return judge(forward(decoded), forward(batcher.batch(files)))


def decoder_of(batcher: ImageBatcher) -> dict[str, str]:
    """For the model card."""
    decode = batcher.decode_files if isinstance(batcher, JpegBatcher) else None
    return {"decoder": f"nvJPEG, {decode.backend}" if isinstance(decode, NvJpeg) else "CPU"}
