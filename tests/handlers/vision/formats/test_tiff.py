"""TIFF as scientific programs write it, beside the pixels that tifffile was given."""

import io
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from handlers.errors import InvalidInput, RequestError, UnsupportedMedia
from handlers.protocol.payload import Payload
from handlers.vision.decoding import decode_image
from tests.inputs import IMAGES

RGB = np.asarray(IMAGES[2])  # 63 × 99
GREY = RGB[..., 1]
OPAQUE = np.full((*GREY.shape, 1), 255, np.uint8)
INK = np.concatenate([255 - RGB, np.zeros_like(OPAQUE)], axis=2)


def written(pixels: NDArray[Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


def decoded(data: bytes) -> NDArray[np.int64]:
    """(height, width, 3)"""
    return decode_image(Payload(data)).permute(1, 2, 0).numpy().astype(np.int64)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("options", [{}, {"rowsperstrip": 7}, {"compression": "deflate"}], ids=str)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    ("samples", "colours"),
    [
        (RGB, {"photometric": "rgb"}),
        (np.concatenate([RGB, OPAQUE], axis=2), {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
        (INK, {"photometric": "separated"}),
    ],
    ids=["rgb", "alpha", "cmyk"],
)
def test_samples_in_planes(
    samples: NDArray[np.uint8], colours: dict[str, Any], bits: int, options: dict[str, Any], order: str
) -> None:
    """As ImageJ and microscopes write them. Pillow reads uncompressed planes of 16 bits as if they had 8."""
    values = samples.astype(np.uint16) * 257 if bits == 16 else samples
    data = written(np.moveaxis(values, 2, 0), planarconfig="separate", byteorder=order, **colours, **options)
    assert np.abs(decoded(data) - RGB).max() <= 1


def test_planes_beside_those_of_colours_are_left_out() -> None:
    samples = np.concatenate([RGB, OPAQUE, OPAQUE // 2], axis=2).astype(np.uint16) * 257
    data = written(np.moveaxis(samples, 2, 0), planarconfig="separate", photometric="rgb")
    assert np.abs(decoded(data) - RGB).max() <= 1


def test_planes_that_do_not_fit_together_are_refused() -> None:
    planes = np.moveaxis(RGB.astype(np.uint16), 2, 0)
    with pytest.raises(UnsupportedMedia, match="wanted strips"):
        decode_image(Payload(written(planes, planarconfig="separate", photometric="rgb", tile=(64, 64))))
    whole = written(planes, planarconfig="separate", photometric="rgb")
    for count in (b"\0\0", b"\1\0", b"\7\0", b"\xff\xff"):  # of the samples that a pixel has
        place = whole.index(b"\x15\x01\x03\0\1\0\0\0") + 8
        with pytest.raises(RequestError):
            decode_image(Payload(whole[:place] + count + whole[place + 2 :]))


@pytest.mark.parametrize("order", "<>")
def test_grey_with_a_sign(order: str) -> None:
    for values in ((GREY >> 1).astype(np.int8), (GREY.astype(np.uint16) * 257 >> 1).astype(np.int16)):
        data = written(values, photometric="minisblack", byteorder=order)
        assert np.abs(decoded(data) - GREY[..., None]).max() <= 1
    with pytest.raises(InvalidInput, match="grey values from -1"):
        decode_image(Payload(written(np.full((4, 4), -1, np.int8), photometric="minisblack", byteorder=order)))
