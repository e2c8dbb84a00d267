"""HEIC files as pillow-heif writes and reads them, grids of tiles as phones write them, and hostile ones."""

import io
import struct
import time
from typing import Any

import numpy as np
import pillow_heif
import pytest
import torch
from PIL import Image, ImageOps

from handlers.errors import MalformedInput, RequestError, TooLarge, UnsupportedMedia
from handlers.protocol.payload import Payload
from handlers.vision.decoding import decode_image
from handlers.vision.formats import heic_items
from tests.inputs import IMAGES
from train.vision.images import check, read_image

RGB = IMAGES[2]  # 63 × 99
EVEN = RGB.resize((64, 100))  # whose halved colour planes end with the image
TILE = 64


def encoded(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, **{"quality": 90, **options})
    return buffer.getvalue()


def decoded(data: bytes) -> np.ndarray:
    """(height, width, 3), by the server and by training alike."""
    image = decode_image(Payload(data, "image/heic"))
    check(data)
    assert torch.equal(read_image(data), image)
    return image.permute(1, 2, 0).numpy()


def box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def full(kind: bytes, version: int, *parts: bytes) -> bytes:
    return box(kind, bytes((version, 0, 0, 0)), *parts)


def content(data: bytes, kind: bytes) -> bytes:
    """Of the first box of a type."""
    at = data.index(kind) - 4
    return data[at + 8 : at + struct.unpack_from(">I", data, at)[0]]


def grid(image: Image.Image, rows: int, columns: int, size: tuple[int, int], kind: bytes = b"hvc1") -> bytes:
    """A file whose image, (width, height), is a grid of that one tile."""
    tile = encoded(image)
    coded = content(tile, b"mdat")
    numbers = range(2, 2 + rows * columns)
    canvas = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, *size)
    entries = [
        struct.pack(">HH", 1, 0) + b"grid\0",
        *(struct.pack(">HH", number, 0) + kind + b"\0" for number in numbers),
    ]
    properties = box(
        b"ipco",
        box(b"hvcC", content(tile, b"hvcC")),
        full(b"ispe", 0, struct.pack(">II", *image.size)),
        full(b"ispe", 0, struct.pack(">II", *size)),
    )
    used = [struct.pack(">HBB", 1, 1, 3), *(struct.pack(">HBBB", number, 2, 0x81, 2) for number in numbers)]
    start = box(b"ftyp", b"heic", bytes(4), b"mif1heic")

    def meta(offset: int) -> bytes:
        places = [(1, offset, len(canvas)), *((number, offset + len(canvas), len(coded)) for number in numbers)]
        located = (struct.pack(">HHHHII", number, 0, 0, 1, place, length) for number, place, length in places)
        return full(
            b"meta",
            0,
            full(b"hdlr", 0, bytes(4), b"pict", bytes(13)),
            full(b"pitm", 0, struct.pack(">H", 1)),
            full(b"iloc", 1, b"\x44\0", struct.pack(">H", len(places)), *located),
            full(b"iinf", 0, struct.pack(">H", len(entries)), *(full(b"infe", 2, entry) for entry in entries)),
            full(b"iref", 0, box(b"dimg", struct.pack(f">HH{len(numbers)}H", 1, len(numbers), *numbers))),
            box(b"iprp", properties, full(b"ipma", 0, struct.pack(">I", len(used)), *used)),
        )

    return start + meta(len(start) + len(meta(0)) + 8) + box(b"mdat", canvas, coded)


@pytest.mark.parametrize(
    ("image", "options"), [(RGB, {}), (RGB, {"chroma": 444}), (RGB.convert("L"), {}), (RGB.convert("LA"), {})]
)
def test_pixels_are_those_of_pillow_heif(image: Image.Image, options: dict[str, Any]) -> None:
    data = encoded(image, **options)
    expected = np.asarray(pillow_heif.open_heif(data).to_pillow().convert("RGB")).astype(int)
    assert np.abs(decoded(data) - expected).max() <= 1


def test_grey_of_more_bits_is_scaled() -> None:
    values = np.asarray(RGB.convert("L"))
    for darker in (1, 16):
        data = encoded(Image.fromarray((values // darker).astype(np.uint16) * 257), quality=-1)
        assert content(data, b"pixi")[5] == 10
        assert np.abs(decoded(data)[..., 0].astype(int) - values // darker).max() <= 1


def test_transparent_pixels_are_over_white() -> None:
    image = RGB.convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    rgba = np.asarray(pillow_heif.open_heif(encoded(image)).to_pillow()).astype(float)
    expected = rgba[..., :3] * rgba[..., 3:] / 255 + 255 - rgba[..., 3:]
    assert np.abs(decoded(encoded(image)) - expected).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_once(orientation: int) -> None:
    """By the file's own rotation, which pillow-heif writes beside an EXIF block that says the same."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = pillow_heif.from_pillow(EVEN)
    file.info["exif"] = exif.tobytes()
    buffer = io.BytesIO()
    file.save(buffer, quality=90)
    stored = Image.fromarray(decoded(encoded(EVEN)))
    stored.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(stored)).astype(int)
    assert expected.shape == ((100, 64, 3) if orientation < 5 else (64, 100, 3))
    assert np.abs(decoded(buffer.getvalue()) - expected).mean() < 1


def test_odd_metadata_and_other_images_do_not_matter() -> None:
    image = RGB.copy()
    image.info |= {"exif": b"Exif\0\0MM\0*garbage", "xmp": b"<" * 100_000}
    file = pillow_heif.from_pillow(image)
    file.add_from_pillow(RGB.rotate(90, expand=True))
    buffer = io.BytesIO()
    file.save(buffer, quality=90)
    assert np.array_equal(decoded(buffer.getvalue()), decoded(encoded(RGB)))


def test_a_grid_as_phones_write_it() -> None:
    tile = RGB.resize((TILE, TILE))
    found = decoded(grid(tile, 3, 4, (4 * TILE - 10, 3 * TILE - 5)))
    expected = np.tile(decoded(encoded(tile)), (3, 4, 1))[:-5, :-10]
    assert np.abs(found.astype(int) - expected).max() <= 2


def test_tiles_of_which_the_image_shows_nothing() -> None:
    tile = RGB.resize((512, 512))
    started = time.process_time()
    with pytest.raises(TooLarge, match=r"the HEIC's parts have 235929600 pixels, for an image of 10000"):
        decode_image(Payload(grid(tile, 30, 30, (100, 100))))
    assert time.process_time() - started < 1


def test_a_file_that_is_larger_than_it_says() -> None:
    data = encoded(RGB.resize((300, 200)))
    place = data.index(b"ispe") + 8
    small = data[:place] + struct.pack(">II", 60, 40) + data[place + 8 :]
    with pytest.raises(MalformedInput, match=r"the image is broken: .*exceeds"):
        decode_image(Payload(small))
    with pytest.raises(TooLarge, match="300 x 200 pixels, the limit is 59999"):
        decode_image(Payload(data), max_pixels=59_999)


def test_parts_of_other_kinds_are_named() -> None:
    with pytest.raises(UnsupportedMedia, match="made of items of type 'iden'; wanted HEVC"):
        decode_image(Payload(grid(RGB.resize((TILE, TILE)), 1, 1, (TILE, TILE), b"iden")))


def test_the_metadata_have_a_limit() -> None:
    start = box(b"ftyp", b"heic", bytes(4), b"mif1heic")
    free = box(b"free") * (heic_items.MAX_META // 8 + 1)
    for data in (start + full(b"meta", 0, free), start + free):
        with pytest.raises((TooLarge, UnsupportedMedia, MalformedInput)):
            decode_image(Payload(data))


def test_broken_files_are_the_senders_fault() -> None:
    data = grid(RGB.resize((TILE, TILE)), 2, 2, (2 * TILE, 2 * TILE))
    random = np.random.default_rng(0)
    end = data.index(b"mdat")
    for _ in range(300):
        broken = bytearray(data)
        for place in random.integers(0, end, random.integers(1, 4)):
            broken[place] = random.integers(256)
        try:
            decode_image(Payload(bytes(broken[: random.integers(end // 2, len(data))])), 1_000_000)
        except RequestError:
            continue
