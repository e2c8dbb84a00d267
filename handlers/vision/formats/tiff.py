"""TIFF 6.0, by Pillow: the first image of a file."""

from __future__ import annotations

import io
from functools import partial
from struct import error, pack

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from handlers.errors import MalformedInput, TooLarge, UnsupportedMedia
from handlers.vision.formats.colours import from_grey, scaled, to_8_bits, to_rgb
from handlers.vision.formats.exif import Entry, numbers, orientation, read_directory
from handlers.vision.formats.header import Header

SIGNATURES = (b"II*\0", b"MM\0*")
BIG_SIGNATURES = (b"II+\0", b"MM\0+")
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
SAMPLES, PLANAR, SAMPLE_FORMAT = 277, 284, 339
STRIPS, STRIP_SIZES, TILE_WIDTH, TILE_HEIGHT, TILES, TILE_SIZES = 273, 279, 322, 323, 324, 325
SIZES = (TILE_WIDTH, TILE_HEIGHT, STRIP_SIZES, TILE_SIZES)
# What describes the pixels. Everything else is left out, with its ways to be broken and large: EXIF, text, previews.
IMAGE = {
    *(WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIPS, STRIP_SIZES, TILE_WIDTH, TILE_HEIGHT, TILES, TILE_SIZES),
    *(266, SAMPLES, 278, PLANAR, 292, 293, 317, 320, 332, 338, SAMPLE_FORMAT, 347, 529, 530, 531, 532),
}
COMPRESSIONS = {
    **{1: "none", 2: "CCITT", 3: "group 3", 4: "group 4", 5: "LZW"},
    **{7: "JPEG", 8: "deflate", 32773: "PackBits", 32946: "deflate"},
}
# Strips and tiles: as many as an image of the default limit has in strips of one row, or tiles of 16 × 16.
MAX_PARTS = 100_000
# A tile may be larger than its image, and is decoded whole. Programs write 128 to 1024.
TILE_SIDE = 1 << 12
MAX_VALUES = 1 << 18
WHITE_IS_ZERO = 0
UNSIGNED, SIGNED = 1, 2
UNCOMPRESSED = 1
INTERLEAVED, IN_PLANES = 1, 2
SIGNED_DEPTHS = {8: (127,), 16: (4095, 32767)}  # by bits, of which one is the sign


def read(data: bytes) -> Header:
    """Raises MalformedInput for a broken directory, UnsupportedMedia for compressions nobody sends, TooLarge for parts
    that are too many, too large or several times the file."""
    if data.startswith(BIG_SIGNATURES):
        raise UnsupportedMedia("the image is a BigTIFF, for files over 4 GB; wanted TIFF")
    order, entries = read_directory(data)
    image = {tag: entry for tag, entry in entries.items() if tag in IMAGE}
    if any(entry.count > MAX_VALUES for entry in image.values()):
        raise TooLarge(f"a tag of the TIFF has more than {MAX_VALUES} values")
    try:
        values = {
            tag: numbers(data, order, image[tag])
            for tag in (WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, PLANAR, SAMPLE_FORMAT, *SIZES)
            if tag in image
        }
        width, height = values[WIDTH][0], values[HEIGHT][0]
        compression = values.get(COMPRESSION, (UNCOMPRESSED,))[0]
        check_parts(data, image, values)
    except (error, KeyError, IndexError):
        raise MalformedInput("the TIFF's directory is broken or cut off") from None
    if not (width and height):
        raise MalformedInput(f"a TIFF of {width} x {height} pixels")
    if compression not in COMPRESSIONS:
        wanted = ", ".join(dict.fromkeys(COMPRESSIONS.values()))
        raise UnsupportedMedia(f"the TIFF's compression is number {compression}; wanted {wanted}")
    decode = partial(
        decode_image,
        directory=(order, image),
        size=(width, height),
        bits=values.get(BITS, (1,))[0],
        planes=compression == UNCOMPRESSED and values.get(PLANAR, (INTERLEAVED,))[0] == IN_PLANES,
        signed=values.get(SAMPLE_FORMAT, (UNSIGNED,))[0] == SIGNED,
        inverted=values.get(PHOTOMETRIC, (1,))[0] == WHITE_IS_ZERO,
    )
    return Header("TIFF", width, height, decode, orientation(data))


def check_parts(data: bytes, image: dict[int, Entry], values: dict[int, tuple[int, ...]]) -> None:
    """Each part is read and decoded, also where all of them are the same bytes of the file."""
    if max((image[tag].count for tag in (STRIPS, TILES) if tag in image), default=0) > MAX_PARTS:
        raise TooLarge(f"the TIFF has more than {MAX_PARTS} strips or tiles")
    if sum(sum(values.get(tag, ())) for tag in (STRIP_SIZES, TILE_SIZES)) > 2 * len(data):
        raise TooLarge("the TIFF's strips are larger than the file; wanted each byte used once")
    if max(values.get(TILE_WIDTH, (0,))[0], values.get(TILE_HEIGHT, (0,))[0]) > TILE_SIDE:
        raise TooLarge(f"the TIFF's tiles are more than {TILE_SIDE} pixels long")


def decode_image(
    data: bytes,
    directory: tuple[str, dict[int, Entry]],
    size: tuple[int, int],
    bits: int,
    planes: bool,
    signed: bool,
    inverted: bool,
) -> Tensor:
    """directory: what describes the pixels, which goes behind a copy of the file as its only directory. planes: the
    samples of a colour stand together, uncompressed."""
    order, entries = directory
    start = len(data) + len(data) % 2
    parts = [data[:4], pack(order + "I", start), data[8:], b"\0" * (len(data) % 2), pack(order + "H", len(entries))]
    parts += [data[entries[tag].place : entries[tag].place + 12] for tag in sorted(entries)]
    try:
        image = Image.open(io.BytesIO(b"".join((*parts, bytes(4)))), formats=("TIFF",))
    except UnidentifiedImageError:
        raise UnsupportedMedia(
            f"the TIFF's pixels are of a kind that is not read ({bits} bits); wanted grey of up to 16 bits or 32, a "
            "palette, or colours of 8 or 16 bits"
        ) from None
    if image.size != size:
        raise MalformedInput("the TIFF's size is ambiguous")
    if bits == 12 and image.mode.startswith("I;16"):
        pixels = scaled(np.asarray(image)[..., None], 4095)
    elif bits == 8 and signed and image.mode == "L":
        pixels = from_grey(np.asarray(image).view(np.int8), SIGNED_DEPTHS[8])
    elif bits == 16 and signed and image.mode == "I":
        pixels = from_grey(np.asarray(image), SIGNED_DEPTHS[16])
    elif bits == 16 and planes and len(image.getbands()) > 1:
        pixels = to_rgb(from_planes(data, order, entries, image))
    else:
        pixels = to_rgb(image)
    if inverted and image.mode in ("I;16", "I;16B", "F"):
        pixels = 255 - pixels  # Pillow does so for fewer bits only
    return torch.from_numpy(pixels).permute(2, 0, 1)


def from_planes(data: bytes, order: str, entries: dict[int, Entry], image: Image.Image) -> Image.Image:
    """The image in 8 bits, of planes that are not compressed and have 16 bits: Pillow takes their bytes for samples.

    Raises UnsupportedMedia for tiles, which nobody writes so.
    """
    if STRIPS not in entries or STRIP_SIZES not in entries:
        raise UnsupportedMedia("the TIFF has planes of 16 bits in tiles without compression; wanted strips")
    places = list(zip(*(numbers(data, order, entries[tag]) for tag in (STRIPS, STRIP_SIZES)), strict=True))
    bands = image.getbands()
    each = len(places) // numbers(data, order, entries[SAMPLES])[0]
    table = to_8_bits(65535)
    planes = []
    for number in range(len(bands)):
        strips = places[number * each : (number + 1) * each]
        samples = np.frombuffer(b"".join(data[start : start + size] for start, size in strips), f"{order}u2")
        planes.append(Image.fromarray(table[samples.reshape(image.height, image.width)]))
    return Image.merge(image.mode, planes)
