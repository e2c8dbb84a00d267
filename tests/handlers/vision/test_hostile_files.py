"""Image files that are broken, or that cost far more than their pixels."""

import struct
import time
import zlib

import numpy as np
import pytest
from PIL.PngImagePlugin import PngInfo

from handlers.errors import MalformedInput, RequestError, TooLarge, UnsupportedMedia
from handlers.protocol.payload import Payload
from handlers.vision.decoding import decode_image
from handlers.vision.formats import jpeg
from handlers.vision.formats.exif import read_directory
from tests.handlers.vision.image_files import RGB, decoded, encoded
from train.vision.images import Unreadable, read_image


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


@pytest.mark.parametrize("name", [b"zTXt", b"iTXt", b"tEXt", b"iCCP", b"eXIf", b"sPLT", b"zzZz"])
def test_what_is_not_the_image_may_be_large_or_broken(name: bytes) -> None:
    head = {b"zTXt": b"k\0\0", b"iTXt": b"k\0\1\0\0\0", b"iCCP": b"p\0\0"}.get(name, b"")
    content = head + zlib.compress(bytes(20_000_000))
    plain = encoded(RGB, "PNG")
    for extra in (content, content[:50], bytes(3_000_000)):
        data = plain[:33] + chunk(name, extra) + plain[33:]
        assert np.array_equal(decoded(data), np.asarray(RGB))


def test_long_texts_of_pillow_are_skipped() -> None:
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", "x" * 2_000_000, zip=True)
    assert np.array_equal(decoded(encoded(RGB, "PNG", pnginfo=text, icc_profile=bytes(2_000_000))), np.asarray(RGB))


def with_scans(number: int) -> bytes:
    """A progressive JPEG whose last scan is there `number` times."""
    data = encoded(RGB, "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * number + data[-2:]


def hostile() -> dict[str, tuple[bytes, type[RequestError]]]:
    plain = encoded(RGB, "JPEG")
    gif = encoded(RGB.quantize(16), "GIF")
    screen = 13 + (3 << (gif[10] & 7) + 1)
    png = encoded(RGB, "PNG")
    strips = encoded(RGB, "TIFF", compression="tiff_lzw")
    return {
        "scans": (with_scans(3000), TooLarge),
        "markers": (plain[:2] + b"\xff\xfe\0\2" * 1_000_000 + plain[2:], TooLarge),
        "fill bytes": (plain[:2] + b"\xff" * 5_000_000, MalformedInput),
        "zeros": (plain[:3] + bytes(5_000_000), MalformedInput),
        "comments": (gif[:screen] + b"!\xfe" + b"\1x" * 2_000_000 + b"\0" + gif[screen:], TooLarge),
        "chunks": (png[:33] + chunk(b"tEXt", b"") * 400_000 + png[33:], TooLarge),
        "run lengths": (encoded(RGB.quantize(16), "BMP")[:30] + b"\1\0\0\0" + bytes(500), UnsupportedMedia),
        "TIFF tags": (b"II*\0\x08\0\0\0\xff\xff" + bytes(12 * 0xFFFF), MalformedInput),
        "TIFF strips": (many_strips(strips), TooLarge),
        "WebP of 14 bits": (b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\xff\xff\xff\x0f" + bytes(8), TooLarge),
        "GIF canvas": (gif[:6] + b"\xff\xff\xff\xff" + gif[10:], TooLarge),
        "long type": (b"", UnsupportedMedia),
    }


def many_strips(data: bytes) -> bytes:
    """Every strip is the whole file."""
    order, entries = read_directory(data)
    number = 50_000
    new = (
        data + struct.pack(f"{order}{number}I", *[8] * number) + struct.pack(f"{order}{number}I", *[len(data)] * number)
    )
    patched = bytearray(new)
    for tag, place in ((273, len(data)), (279, len(data) + 4 * number)):
        struct.pack_into(order + "HHII", patched, entries[tag].place, tag, 4, number, place)
    return bytes(patched)


@pytest.mark.parametrize("name", hostile())
def test_hostile_files_are_refused_before_any_work(name: str) -> None:
    data, error = hostile()[name]
    payload = Payload(data, "image/" + "x" * 5000) if name == "long type" else Payload(data)
    start = time.process_time()
    with pytest.raises(error) as raised:
        decode_image(payload)
    assert time.process_time() - start < 1
    assert len(str(raised.value)) <= 300
    with pytest.raises(Unreadable):
        read_image(data)


def test_thumbnails_and_what_follows_the_image_are_not_scans() -> None:
    data = encoded(RGB, "JPEG")
    many = data[:2] + b"\xff\xe1\xff\xff" + b"\xff\xda" * 32766 + b"\0" + data[2:] + b"\xff\xda" * 5000
    assert np.array_equal(decoded(many), decoded(data))
    assert decoded(with_scans(jpeg.MAX_SCANS - 20)).shape == (99, 63, 3)
