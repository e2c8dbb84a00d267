"""Where a worker on a GPU decodes: by the option, and by the answers to the sample."""

from collections.abc import Sequence

import pytest
import torch
from PIL import Image
from torch import Tensor

from handlers.acceleration.equivalence import mismatch
from handlers.artifact import LoadError
from handlers.protocol.payload import Payload
from handlers.vision.batching import DecodeFiles, ImageBatcher, JpegBatcher
from handlers.vision.decoding import decode_image
from handlers.vision.gpu_batching import Choice, decoder_of, with_decoder
from tests.handlers.vision.test_batching import CPU, MAX_PIXELS, TRANSFORM, WHOLE, jpeg


def spread(files: Sequence[bytes], height: int, width: int) -> Tensor:
    """A decoder that sees other colours."""
    return whole(files, height, width).flip(1)


def whole(files: Sequence[bytes], height: int, width: int) -> Tensor:
    return torch.stack([decode_image(Payload(file)) for file in files])


def refused(files: Sequence[bytes], height: int, width: int) -> Tensor:
    raise RuntimeError("this build of torchvision brings no libnvjpeg")


def colours(batch: Tensor) -> tuple[Tensor]:
    """Logits that depend on the colours."""
    return (batch.float().mean((2, 3)) / 10,)


@pytest.mark.parametrize(
    ("choice", "decode", "together"),
    [
        ("auto", whole, True),
        ("auto", spread, False),
        ("auto", refused, False),
        ("gpu", spread, True),
        ("cpu", whole, False),
    ],
)
def test_a_decoder_is_used_where_the_answers_stay_or_it_is_asked_for(
    choice: Choice, decode: DecodeFiles, together: bool
) -> None:
    image = decode_image(Payload(jpeg(Image.new("RGB", (120, 100), "orange"))))
    alone = ImageBatcher(TRANSFORM, MAX_PIXELS, CPU)
    images = with_decoder(alone, lambda: image, colours, choice, mismatch, lambda device: decode)
    assert isinstance(images, JpegBatcher) is together
    assert decoder_of(images) == {"decoder": "CPU"}  # nvJPEG is none of these


def test_a_decoder_that_is_asked_for_and_not_there_fails_the_load() -> None:
    alone = ImageBatcher(TRANSFORM, MAX_PIXELS, CPU)
    with pytest.raises(LoadError, match="brings no libnvjpeg"):
        with_decoder(alone, lambda: decode_image(Payload(WHOLE)), colours, "gpu", mismatch, lambda device: refused)


def test_a_worker_on_a_cpu_looks_for_no_nvjpeg() -> None:
    def fail() -> Tensor:
        raise AssertionError("the sample was decoded")

    alone = ImageBatcher(TRANSFORM, MAX_PIXELS, CPU)
    assert with_decoder(alone, fail, colours, "gpu", mismatch) is alone
