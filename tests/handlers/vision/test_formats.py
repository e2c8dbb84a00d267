"""Each format beside Pillow's reading of it, and files that are odd, hostile, or both."""

import io
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from handlers.errors import InvalidInput, MalformedInput, RequestError, TooLarge, UnsupportedMedia
from handlers.protocol.payload import Payload
from handlers.vision.decoding import MEDIA_TYPES, decode_image
from handlers.vision.formats import jpeg
from handlers.vision.formats.exif import read_directory
from tests.inputs import IMAGES
from train.vision.images import Unreadable, check, read_image, upright_size

RGB = IMAGES[2]  # 63 × 99
GREY = RGB.convert("L")
VALUES = np.asarray(GREY)
ORIENTATION = 0x0112


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def decoded(data: bytes) -> np.ndarray:
    """(height, width, 3), by the server and by training alike."""
    image = decode_image(Payload(data))
    check(data)
    assert torch.equal(read_image(data), image)
    return image.permute(1, 2, 0).numpy()


def white_behind(image: Image.Image) -> np.ndarray:
    rgba = np.asarray(image.convert("RGBA")).astype(float)
    return np.rint(rgba[..., :3] * rgba[..., 3:] / 255 + 255 - rgba[..., 3:])


def translucent(mode: str = "RGBA") -> Image.Image:
    image = RGB.convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image.convert(mode)


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("GIF", {}), ("BMP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_deflate"}),
        ("TIFF", {"compression": "tiff_lzw"}), ("TIFF", {"compression": "packbits"}), ("PPM", {}),
        ("TIFF", {"compression": "jpeg"}), ("AVIF", {"quality": 90}), ("JPEG", {"progressive": True}),
    ],
)  # fmt: skip
def test_formats_agree_with_pillow(form: str, options: dict[str, Any]) -> None:
    data = encoded(RGB.quantize(64) if form == "GIF" else RGB, form, **options)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    found = decode_image(Payload(data)).permute(1, 2, 0).numpy() if form != "PPM" else decoded_ppm(data)
    assert np.abs(found - expected).max() <= (3 if form == "JPEG" else 0)


def decoded_ppm(data: bytes) -> np.ndarray:
    return read_image(data).permute(1, 2, 0).numpy()


def test_the_media_types_are_taken_and_others_are_named() -> None:
    data = encoded(RGB, "PNG")
    for name in MEDIA_TYPES:
        decode_image(Payload(data, name))
    with pytest.raises(UnsupportedMedia, match=r"content type 'image/jxl'; this model takes image/jpeg"):
        decode_image(Payload(data, "image/jxl"))


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2", "MP4"),
        (b"\x1a\x45\xdf\xa3", "WebM"),
        (b"%PDF-1.7", "PDF"),
        (b"RIFF\x00\x00\x00\x00WAVE", "WAV"),
        (b"II+\0\x08\0\0\0", "BigTIFF"),
    ],
)
def test_a_format_that_is_not_taken_is_named_without_a_type(start: bytes, name: str) -> None:
    with pytest.raises(UnsupportedMedia, match=f"is .*{name}.*; wanted"):
        decode_image(Payload(start + bytes(50)))


@pytest.mark.parametrize(
    "data",
    [
        encoded(Image.fromarray(VALUES.astype(np.uint16) * 257), "PNG"),
        encoded(Image.fromarray(VALUES.astype(np.uint16) * 257), "TIFF"),
        encoded(Image.fromarray((VALUES.astype(np.uint16) * 257).astype(">u2")), "TIFF"),
        encoded(Image.fromarray(VALUES.astype(np.int32) * 257), "TIFF"),
        encoded(Image.fromarray(VALUES.astype(np.float32) * 257), "TIFF", compression="tiff_lzw"),
        encoded(Image.fromarray(VALUES.astype(np.float32) / 255), "TIFF"),
        encoded(Image.fromarray(VALUES.astype(np.float32)), "TIFF"),
        encoded(Image.fromarray(np.rint(VALUES * (4095 / 255)).astype(np.uint16)), "PNG"),
        encoded(Image.fromarray(np.rint(VALUES * (4095 / 255)).astype(np.uint16)), "TIFF"),
        b"P5 63 99 65535\n" + (VALUES.astype(">u2") * 257).astype(">u2").tobytes(),
    ],
)
def test_grey_of_more_bits_reads_as_grey_of_eight(data: bytes) -> None:
    found = decoded_ppm(data) if data.startswith(b"P5") else decoded(data)
    scale = 255 / VALUES.max()  # the brightest pixel decides between 12 and 16 bits, and is nearly white here
    assert scale < 1.1
    assert np.abs(found - VALUES[..., None].astype(int)).max() <= 1


def test_grey_out_of_any_range_is_refused() -> None:
    for values in (np.full((4, 4), -1.0), np.full((4, 4), np.nan), np.full((4, 4), 1e9)):
        with pytest.raises(InvalidInput, match="wanted 0 to 65535"):
            decode_image(Payload(encoded(Image.fromarray(values.astype(np.float32)), "TIFF")))


@pytest.mark.parametrize(
    ("image", "form", "options"),
    [
        (translucent(), "PNG", {}),
        (translucent("LA"), "PNG", {}),
        (translucent(), "WEBP", {"lossless": True}),
        (translucent(), "TIFF", {}),
        (RGB.quantize(16), "PNG", {"transparency": 3}),
        (RGB.quantize(16), "PNG", {"transparency": bytes(range(0, 160, 10))}),
        (RGB.quantize(16), "GIF", {"transparency": 3}),
        (RGB, "PNG", {"transparency": RGB.getpixel((5, 5))}),
        (GREY, "PNG", {"transparency": GREY.getpixel((5, 5))}),
        (GREY.convert("1"), "PNG", {"transparency": 0}),
    ],
)
def test_transparent_pixels_are_over_white(image: Image.Image, form: str, options: dict[str, Any]) -> None:
    data = encoded(image, form, **options)
    expected = white_behind(Image.open(io.BytesIO(data)))
    assert (expected == 255).any()
    assert np.abs(decoded(data) - expected).max() <= 1


def exif_block(orientation: bytes, rest: bytes = b"") -> bytes:
    """One entry for the orientation, as it is given, after an entry that breaks who rewrites it: text as a number."""
    odd = struct.pack("<HHII", 0x010E, 3, 1, 0)
    entries = [odd, orientation] if orientation else [odd]
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4) + rest


def short(value: int) -> bytes:
    return struct.pack("<HHIHH", ORIENTATION, 3, 1, value, 0)


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "CMYK", "AVIF"])
def test_each_orientation_turns_as_pillow_does(form: str, value: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = value
    image = RGB.convert("CMYK") if form == "CMYK" else RGB
    options: dict[str, Any] = {"lossless": True} if form == "WEBP" else {"quality": 95} if form != "PNG" else {}
    data = encoded(image, "JPEG" if form == "CMYK" else form, exif=exif, **({} if form == "TIFF" else options))
    turn = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # Pillow's Transpose by orientation
    plain = Image.open(io.BytesIO(encoded(image, "JPEG" if form == "CMYK" else form, **options))).convert("RGB")
    expected = np.asarray(plain.transpose(Image.Transpose(turn[value])) if value > 1 else plain).astype(int)
    assert np.abs(decoded(data) - expected).mean() < 2
    path = tmp_path / "image"
    path.write_bytes(data)
    assert upright_size(path, decode=False) == expected.shape[:2]


@pytest.mark.parametrize(
    "block",
    [
        exif_block(b""),
        exif_block(struct.pack("<HHII", ORIENTATION, 2, 40, 5000)),  # text beyond the end
        exif_block(struct.pack("<HHIHH", ORIENTATION, 3, 1, 9, 0)),
        exif_block(struct.pack("<HHIHH", ORIENTATION, 3, 5, 6, 0)),
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0nonsense",
        b"Exif\0\0",
    ],
)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_odd_exif_means_upright(block: bytes, form: str) -> None:
    data = encoded(RGB, form, exif=block, **({"lossless": True} if form == "WEBP" else {}))
    assert np.array_equal(decoded(data), decoded(encoded(RGB, form, **({"lossless": True} if form == "WEBP" else {}))))


def test_of_several_images_the_first_is_read() -> None:
    others = [RGB.transpose(Image.Transpose.ROTATE_180)] * 3
    for form in ("GIF", "TIFF", "WEBP", "MPO", "AVIF"):
        options = {"lossless": True} if form == "WEBP" else {}
        data = encoded(RGB, form, save_all=True, append_images=others, **options)
        expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
        assert np.abs(decoded(data) - expected).max() <= 3, form


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


def test_images_as_numbers() -> None:
    rounded = decode_image(Payload([[[0.6, 254.5, 254.6]]]))
    assert rounded.flatten().tolist() == [1, 254, 255]
    decode_image(Payload([[[0, 1, 1]]]))
    decode_image(Payload([[[0.0, 0.0, 0.0]]]))
    for values, said in (
        ([[[0.1, 0.5, 1.0]]], "fractions up to 1; wanted 0 to 255"),
        ([[[-1, 0, 0]]], "from -1 to 0; wanted 0 to 255"),
        ([[[True, False, True]]], "other than numbers"),
    ):
        with pytest.raises(InvalidInput, match=said):
            decode_image(Payload(values))
