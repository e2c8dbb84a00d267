"""Images: what decodes, to what, and what is refused."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from handlers.errors import InvalidInput, MalformedInput, RequestError, TooLarge, UnsupportedMedia
from handlers.protocol.payload import Payload
from handlers.vision.decoding import decode_image, to_png

CHINA = Image.fromarray(load_sample_image("china.jpg"))


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_formats_agree_with_pillow(kind: str, mode: str) -> None:
    data = encoded(CHINA.convert(mode), kind)
    expected = np.array(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    image = decode_image(Payload(data))
    assert image.dtype == torch.uint8
    # libjpeg-turbo and Pillow's libjpeg may round chroma differently by a level or two.
    assert np.abs(image.permute(1, 2, 0).numpy() - expected).max() <= (3 if kind == "JPEG" else 0)


@pytest.mark.parametrize("mode", ["CMYK", "P", "RGBA", "1", "I;16", "LA"])
def test_unusual_modes_become_rgb(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    image = CHINA.convert("L").convert("I;16") if mode == "I;16" else CHINA.convert(mode)
    assert decode_image(Payload(encoded(image, kind))).shape == (3, 427, 640)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_exif_orientation_is_applied(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode_image(Payload(encoded(CHINA, kind, exif=exif))).shape == (3, 640, 427)


def test_array_is_an_image() -> None:
    values = np.asarray(CHINA)[:4, :5]
    image = decode_image(Payload(values.tolist()))
    assert torch.equal(image, torch.from_numpy(values.copy()).permute(2, 0, 1))


def test_png_round_trip() -> None:
    array = np.asarray(CHINA)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(to_png(array)))), array)


def bomb(side: int) -> bytes:
    """A PNG whose header claims side × side pixels, in a hundred bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


JPEG = encoded(CHINA, "JPEG")
PNG = encoded(CHINA, "PNG")


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (Payload(JPEG[: len(JPEG) // 2]), MalformedInput),
        (Payload(JPEG[:100]), MalformedInput),
        (Payload(PNG[: len(PNG) // 2]), MalformedInput),
        (Payload(encoded(CHINA, "WEBP")[:2000]), MalformedInput),
        (Payload(b"\xff\xd8\xff" + b"\0" * 500), MalformedInput),
        (Payload(b"GIF89a" + b"\0" * 50), MalformedInput),
        (Payload("text"), InvalidInput),
        (Payload(JPEG, "image/jxl"), UnsupportedMedia),
        (Payload(b"nothing"), MalformedInput),
        (Payload(JPEG, "audio/wav"), UnsupportedMedia),
        (Payload(bomb(7_000)), TooLarge),
        (Payload(bomb(60_000)), TooLarge),
        (Payload([[1, 2], [3]]), InvalidInput),
        (Payload([[1, 2], [3, 4]]), InvalidInput),
        (Payload([[[1, 2, 256]]]), InvalidInput),
        (Payload([[[1, 2, None]]]), InvalidInput),
        (Payload([[["a", 2, 3]]]), InvalidInput),
        (Payload([]), InvalidInput),
    ],
)
def test_bad_images(payload: Payload, error: type[RequestError]) -> None:
    with pytest.raises(error):
        decode_image(payload)
