"""Each format beside Pillow's reading of it, and files that are odd, hostile, or both."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from handlers.errors import InvalidInput, UnsupportedMedia
from handlers.protocol.payload import Payload
from handlers.vision.decoding import MEDIA_TYPES, decode_image
from tests.handlers.vision.image_files import RGB, decoded, encoded
from train.vision.images import read_image, upright_size

GREY = RGB.convert("L")
VALUES = np.asarray(GREY)
ORIENTATION, SAMPLE_FORMAT = 0x0112, 339


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
        ("AVIF", {"mode": "L"}), ("AVIF", {"mode": "LA"}), ("JPEG", {"mode": "L"}), ("WEBP", {"mode": "L"}),
    ],
)  # fmt: skip
def test_formats_agree_with_pillow(form: str, options: dict[str, Any]) -> None:
    mode = options.get("mode", "P" if form == "GIF" else "RGB")
    options = {name: value for name, value in options.items() if name != "mode"}
    data = encoded(RGB.convert("RGBA").convert(mode) if mode != "P" else RGB.quantize(64), form, **options)
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
        (b"data:image/png;base64,iVBORw0KGgo=", "a data URL"),
        (b"iVBORw0KGgoAAAANSUhEUgAA", "PNG in base64"),
        (b"/9j/4AAQSkZJRgABAQ", "JPEG in base64"),
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


def test_grey_with_a_sign_has_a_bit_less() -> None:
    values = Image.fromarray(np.rint(VALUES * (32767 / 255)).astype(np.uint16))
    data = encoded(values, "TIFF", tiffinfo={SAMPLE_FORMAT: 2})
    assert np.abs(decoded(data) - VALUES[..., None].astype(int)).max() <= 1


def test_a_tiff_of_pixels_that_pillow_does_not_know() -> None:
    with pytest.raises(UnsupportedMedia, match=r"of a kind that is not read \(8 bits\)"):
        decode_image(Payload(encoded(RGB, "TIFF", tiffinfo={SAMPLE_FORMAT: (3, 3, 3)})))


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
