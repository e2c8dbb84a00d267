"""Images and recordings that are well formed and still ask for much: odd sizes, rates, channels, scans, metadata."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import soundfile
from hypothesis import assume
from hypothesis import strategies as st
from PIL import Image

from tests.inputs import IMAGES, RATE, encoded, noise

Draw = Callable[[st.SearchStrategy[Any]], Any]
SIDES = (1, 2, 3, 31, 97, 255, 256, 1000, 4000, 6300, 16383, 20_000, 40_000, 65_500)
MOST_PIXELS = 300_000  # of an image that is compressed here; others only claim to be larger
# Of real devices, and numbers that have no divisor in common with 16,000.
RATES = (1, 999, 1000, 4000, 8000, 8001, 11_025, 11_127, 16_000, 22_050, 22_051, 22_254, 44_100, 44_101, 48_000, 96_001)
CHANNELS = (1, 1, 2, 3, 8, 32, 255, 1024)
SCANS = (1, 30, 300, 3000)
PLAIN_FORMATS = (
    *(("WAV", subtype) for subtype in ("PCM_U8", "PCM_16", "PCM_24", "FLOAT", "DOUBLE", "ULAW", "IMA_ADPCM")),
    *(("WAVEX", "PCM_16"), ("RF64", "PCM_16"), ("FLAC", "PCM_16"), ("AIFF", "PCM_16"), ("AU", "PCM_16")),
)
# libsndfile's encoders of these crash at rates and channels that no device has, so they get usual ones.
CODED_FORMATS = (("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"))
CODED_RATES = (8000, 16_000, 24_000, 48_000)
IMAGE_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif", "BMP": "image/bmp"}
MODES = ("RGB", "L", "RGBA", "LA", "P", "1", "CMYK", "I;16", "I", "F")


@cache
def image_samples() -> list[bytes]:
    small = IMAGES[2]
    forms = [encoded(small.convert(mode), form) for mode, form in (("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"))]
    forms += [encoded(small.convert(mode), "PNG") for mode in ("RGB", "RGBA", "P", "L")]
    return [*forms, encoded(small, "WEBP"), progressive(64), with_exif()]


@cache
def audio_samples() -> list[bytes]:
    wanted = (("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"))
    samples = noise(0.2, 0)
    return [written(samples, RATE, *form) for form in (*wanted, ("MP3", "MPEG_LAYER_III"))]


def with_exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    buffer = io.BytesIO()
    IMAGES[2].save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def written(samples: np.ndarray[Any, Any], rate: int, form: str, subtype: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=form, subtype=subtype)
    return buffer.getvalue()


@st.composite
def drawn_image(draw: Draw) -> tuple[str, bytes]:
    """(content type, file) of one colour or of noise, in any mode and any shape."""
    form = draw(st.sampled_from(sorted(IMAGE_TYPES)))
    width, height = draw(st.sampled_from(SIDES)), draw(st.sampled_from(SIDES))
    assume(width * height <= MOST_PIXELS)
    image = Image.new("RGB", (width, height), draw(st.sampled_from(("black", "white", "orange"))))
    if draw(st.booleans()) and width * height < 10_000:
        image = Image.effect_noise((width, height), 60).convert("RGB")
    try:
        data = encoded(image.convert(draw(st.sampled_from(MODES))), form)
    except (OSError, ValueError):
        assume(False)
    return IMAGE_TYPES[form], data


@st.composite
def claimed_image(draw: Draw) -> tuple[str, bytes]:
    """(content type, file) of a few hundred bytes that claims any size, and keeps it in the WebP's case."""
    width, height = draw(st.sampled_from(SIDES)), draw(st.sampled_from(SIDES))
    if draw(st.booleans()):
        return "image/webp", plain_webp(min(width, 16_383), min(height, 16_383))
    depth, colours = draw(st.sampled_from((1, 2, 4, 8, 16))), draw(st.sampled_from((0, 2, 3, 4, 6)))
    header = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, draw(st.sampled_from((0, 1, 2))))
    pixels = zeros(draw(st.sampled_from((10, 4096, 1 << 20))))
    parts = [(b"IHDR", header), *draw(st.lists(extra_chunk(), max_size=3)), (b"IDAT", pixels), (b"IEND", b"")]
    return "image/png", b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@cache
def extra_chunk() -> st.SearchStrategy[tuple[bytes, bytes]]:
    names = st.sampled_from((b"PLTE", b"tRNS", b"gAMA", b"iCCP", b"eXIf", b"acTL", b"fcTL"))
    texts = st.sampled_from((1, 100_000, 3 << 20)).map(lambda size: (b"zTXt", b"k\x00\x00" + zeros(size)))
    return st.tuples(names, st.binary(max_size=40)) | texts


@cache
def zeros(size: int) -> bytes:
    """Compressed."""
    return zlib.compress(bytes(size))


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@cache
def webp_of_one_colour() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1), "teal").save(buffer, "WEBP", lossless=True)
    return buffer.getvalue()


def plain_webp(width: int, height: int) -> bytes:
    """A lossless WebP of one colour, whose pixels need no bits: about thirty bytes whatever its size."""
    data = bytearray(webp_of_one_colour())
    start = data.index(b"VP8L") + 9  # behind the chunk's name, its length and the signature
    bits = int.from_bytes(data[start : start + 4], "little") & ~((1 << 28) - 1)
    data[start : start + 4] = (bits | (width - 1) | (height - 1) << 14).to_bytes(4, "little")
    return bytes(data)


@st.composite
def many_scans(draw: Draw) -> tuple[str, bytes]:
    """A progressive JPEG whose last scan comes again and again."""
    data = progressive(draw(st.sampled_from((8, 64, 400))))
    scan = data[data.rindex(b"\xff\xda") : -2]
    return "image/jpeg", data[:-2] + scan * draw(st.sampled_from(SCANS)) + data[-2:]


@cache
def progressive(side: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), "olive").save(buffer, "JPEG", progressive=True)
    return buffer.getvalue()


@st.composite
def drawn_recording(draw: Draw) -> tuple[str, bytes]:
    """(content type, file) in any format, at any rate, with any number of channels."""
    frames = draw(st.sampled_from((0, 1, 2, 100, 5000, 20_000)))
    if draw(st.integers(0, 3)):
        form, subtype = draw(st.sampled_from(PLAIN_FORMATS))
        rate, channels = draw(st.sampled_from(RATES) | st.integers(1, 400_000)), draw(st.sampled_from(CHANNELS))
    else:
        form, subtype = draw(st.sampled_from(CODED_FORMATS))
        rate, channels, frames = draw(st.sampled_from(CODED_RATES)), draw(st.sampled_from((1, 2))), frames + 1000
    assume(channels * frames <= 500_000)
    samples = np.full((frames, channels), draw(st.sampled_from((0.0, 0.5, -1.0))), np.float32)
    if draw(st.booleans()) and subtype in ("FLOAT", "DOUBLE") and samples.size:
        samples[0, 0] = draw(st.sampled_from((np.nan, np.inf, 1e30)))
    try:
        data = written(samples, rate, form, subtype)
    except (soundfile.LibsndfileError, ValueError, RuntimeError):
        assume(False)
    return f"audio/{form.lower().removesuffix('x')}", data


def images() -> st.SearchStrategy[tuple[str, bytes]]:
    return st.one_of(drawn_image(), claimed_image(), claimed_image(), many_scans())
